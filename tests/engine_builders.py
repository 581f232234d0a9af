"""Engines of the engine matrix that take more than a line to build, and what their models say."""

from __future__ import annotations

from typing import Any

from engine_desk import Desk, Says
from llama_index.core import KeywordTableIndex, PromptTemplate, SummaryIndex, get_response_synthesizer
from llama_index.core.evaluation import BaseEvaluator, RelevancyEvaluator
from llama_index.core.indices.query.query_transform import DecomposeQueryTransform, StepDecomposeQueryTransform
from llama_index.core.llms import ChatMessage
from llama_index.core.query_engine import (
    MultiStepQueryEngine,
    RetrieverQueryEngine,
    RetryQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from llama_index_ft_rag.offline import ChatReply, ChatRequest, ToolCall

# -- What models say


def tool_call(name: str, **arguments: Any) -> ChatReply:
    """Use a tool."""
    return ChatReply(tool_calls=[ToolCall(id="call_1", name=name, arguments=arguments)])


# -- Engines


def with_own_templates(desk: Desk, mode: str) -> RetrieverQueryEngine:
    """An engine whose prompts share no word with LlamaIndex's own."""
    return desk.engine(
        response_mode=mode,
        text_qa_template=PromptTemplate("Antworte kurz.\n{context_str}\nFrage: {query_str}\n"),
        refine_template=PromptTemplate("Bisher: {existing_answer}\nNeu: {context_msg}\nVerbessere für {query_str}\n"),
        summary_template=PromptTemplate("Fasse zusammen.\n{context_str}\nFrage: {query_str}\n"),
    )


def with_synthesizer(desk: Desk, **settings: Any) -> RetrieverQueryEngine:
    """An engine whose synthesizer is set up in ways that `as_query_engine` has no argument for."""
    synthesizer = get_response_synthesizer(llm=desk.llm, streaming=desk.streaming, **settings)
    return desk.engine(response_synthesizer=synthesizer)


def sub_questions(desk: Desk, *, use_async: bool) -> SubQuestionQueryEngine:
    """Two tools, each asked one sub-question."""
    return SubQuestionQueryEngine.from_defaults(
        [desk.tool("people", streaming=False), desk.tool("places", streaming=False)],
        llm=desk.llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=desk.llm),
        response_synthesizer=get_response_synthesizer(llm=desk.llm, streaming=desk.streaming),
        use_async=use_async,
        verbose=False,
    )


def divides(request: ChatRequest) -> str | None:
    """Answer the prompt that asks for sub-questions."""
    if "list of tools" not in str(request.messages):
        return None
    return (
        '```json\n{"items": [{"sub_question": "Who?", "tool_name": "people"}, '
        '{"sub_question": "What?", "tool_name": "places"}]}\n```'
    )


def router(desk: Desk, selector: Any = None) -> RouterQueryEngine:
    """Two tools, of which a selector chooses."""
    return RouterQueryEngine.from_defaults(
        [desk.tool("people"), desk.tool("places")],
        llm=desk.llm,
        selector=selector and selector.from_defaults(llm=desk.llm),
    )


def multi_step(desk: Desk) -> MultiStepQueryEngine:
    """Two steps, and an answer from both."""
    return MultiStepQueryEngine(
        desk.engine(streaming=False),
        StepDecomposeQueryTransform(llm=desk.llm),
        response_synthesizer=get_response_synthesizer(llm=desk.llm, streaming=desk.streaming),
        num_steps=2,
    )


def retry(desk: Desk) -> RetryQueryEngine:
    """One more try where the judge is not content."""
    return RetryQueryEngine(desk.engine(), RelevancyEvaluator(llm=desk.llm), max_retries=1)


def decomposed(desk: Desk) -> TransformQueryEngine:
    """An engine that is asked a simpler question."""
    return TransformQueryEngine(
        desk.engine(), DecomposeQueryTransform(llm=desk.llm), transform_metadata={"index_summary": "Twelve facts."}
    )


def fused(desk: Desk) -> RetrieverQueryEngine:
    """An engine that retrieves for several wordings of a question."""
    retriever = QueryFusionRetriever([desk.retriever], llm=desk.llm, num_queries=3, use_async=False)
    return RetrieverQueryEngine.from_args(retriever, llm=desk.llm, streaming=desk.streaming)


def chosen_by_llm(desk: Desk) -> RetrieverQueryEngine:
    """An engine whose retriever lets the LLM choose."""
    index = SummaryIndex([TextNode(id_=f"fact-{number}", text=f"Fact {number}.") for number in range(3)])
    return index.as_query_engine(llm=desk.llm, retriever_mode="llm", streaming=desk.streaming)


def found_by_keyword(desk: Desk) -> RetrieverQueryEngine:
    """An engine whose retriever lets the LLM find keywords."""
    index = KeywordTableIndex([], llm=desk.llm)
    index.index_struct.add_node(["fact"], node := TextNode(id_="fact-0", text="Fact 0."))
    index.docstore.add_documents([node])
    return index.as_query_engine(llm=desk.llm, streaming=desk.streaming)


class Found(Event):
    """What a workflow has retrieved."""

    question: str
    nodes: list[NodeWithScore]


class OwnStart(StartEvent):
    """What a workflow is started with."""

    question: str


class OwnWorkflow(Workflow):
    """Retrieves in one step; in the next, drafts through a synthesizer and polishes by asking the LLM itself."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    @step
    async def find(self, event: StartEvent) -> Found:
        """Retrieve."""
        question = event.get("query") or event.get("question")
        return Found(question=question, nodes=await self.desk.retriever.aretrieve(question))

    @step
    async def answer(self, event: Found) -> StopEvent:
        """Ask twice."""
        synthesizer = get_response_synthesizer(llm=self.desk.llm)
        draft = await synthesizer.asynthesize(event.question, event.nodes)
        polished = await self.desk.llm.achat([ChatMessage(f"Polish: {draft}")])
        return StopEvent(polished.message.content)


class TypedWorkflow(OwnWorkflow):
    """The same with a start event of its own."""

    @step
    async def find(self, event: OwnStart) -> Found:
        """Retrieve."""
        return Found(question=event.question, nodes=await self.desk.retriever.aretrieve(event.question))


async def run_by_query(engine: Any, question: str) -> Any:
    """Run a workflow."""
    return await engine.run(query=question)


async def run_by_question(engine: Any, question: str) -> Any:
    """Run a workflow that calls it otherwise."""
    return await engine.run(question=question)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def run_code(code: str) -> str:
    """Run what a model has written."""
    return "3"


def uses(reply: ChatReply) -> Says:
    """Use a tool once."""
    return lambda request: reply if request.parameters.get("tools") and request.messages[-1]["role"] == "user" else None


def by_hand(desk: Desk, question: str) -> Any:
    """Retrieve, then have an answer written, without an engine."""
    nodes = desk.retriever.retrieve(question)
    return get_response_synthesizer(llm=desk.llm, response_mode="refine").synthesize(question, nodes)


async def by_hand_async(desk: Desk, question: str) -> Any:
    """Do the same in a task."""
    nodes = await desk.retriever.aretrieve(question)
    return await get_response_synthesizer(llm=desk.llm, response_mode="refine").asynthesize(question, nodes)


def judged(question: str) -> dict[str, Any]:
    """What an evaluator is given."""
    return {
        "query": question,
        "response": "An answer.",
        "contexts": ["A fact."],
        "reference": "The answer.",
        "second_response": "Another.",
    }


def evaluate(evaluator: BaseEvaluator, question: str) -> Any:
    """Judge an answer."""
    return evaluator.evaluate(**judged(question))


async def aevaluate(evaluator: BaseEvaluator, question: str) -> Any:
    """Judge an answer in a task."""
    return await evaluator.aevaluate(**judged(question))
