"""The engine matrix: what LlamaIndex's engines ask an LLM for, as rows that a test runs and a page shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from engine_builders import (
    OwnWorkflow,
    TypedWorkflow,
    add,
    aevaluate,
    by_hand,
    by_hand_async,
    chosen_by_llm,
    decomposed,
    divides,
    evaluate,
    found_by_keyword,
    fused,
    multi_step,
    retry,
    router,
    run_by_query,
    run_by_question,
    run_code,
    sub_questions,
    tool_call,
    uses,
    with_own_templates,
    with_synthesizer,
)
from engine_desk import (
    CHATS,
    DEFAULT,
    DEFAULT_IN_THREADS,
    PLAIN,
    READ_ELSEWHERE,
    RUNS,
    SMALL,
    SMALL_IN_THREADS,
    STREAMED,
    Desk,
    MakeLLM,
    Says,
    Way,
    memory,
    model,
)
from fakes import Capital
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.evaluation import (
    AnswerRelevancyEvaluator,
    BaseEvaluator,
    ContextRelevancyEvaluator,
    CorrectnessEvaluator,
    FaithfulnessEvaluator,
    GuidelineEvaluator,
    PairwiseComparisonEvaluator,
    RelevancyEvaluator,
)
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.query_engine import CitationQueryEngine, TransformQueryEngine
from llama_index.core.selectors import LLMMultiSelector, LLMSingleSelector, PydanticMultiSelector
from llama_index.llms.openai import OpenAI

from llama_index_ft_rag.examples import CallKind

# -- What a row is


@dataclass(frozen=True)
class Call:
    """One call of a query."""

    kind: CallKind
    found: tuple[int, ...] | Literal["sources"] = ()
    """Whence its nodes: retrievals of the row, counted from 0, or the sources that the response names."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An engine and what it asks."""

    engine: str
    build: Callable[[Desk], Any]
    queries: tuple[tuple[Call, ...], ...]
    """The calls of each query, in the order in which they start."""
    ways: tuple[Way, ...] = PLAIN + STREAMED
    says: Says = ()
    llm: MakeLLM = DEFAULT
    sentences: int = 1
    """How long the facts are."""
    tells_question: bool = True
    """Whether LlamaIndex tells a listener what was asked."""
    asks_in_line: bool = False
    """Whether its first call holds up the event loop."""
    remark: str = ""

    @property
    def questions(self) -> list[str]:
        """What is asked."""
        return [f"Question {number}?" for number in range(len(self.queries))]

    def render(self) -> str:
        """The row of the page."""
        kinds = "; ".join(", ".join(_counted(call.kind for call in calls)) for calls in self.queries)
        numbers = "; ".join(str(len(calls)) for calls in self.queries)
        return f"| {self.engine} | {numbers} | {kinds} | {self.remark} |"


def _counted(kinds: Any) -> list[str]:
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(kinds)]
    return [kind if count == 1 else f"{count} × {kind}" for kind, count in runs]


def calls(*kinds: CallKind, found: tuple[int, ...] = (0,), after: int = 0) -> tuple[Call, ...]:
    """The calls of a query that retrieves once: the first `after` of them before that."""
    return tuple(Call(kind, found if number >= after else ()) for number, kind in enumerate(kinds))


LONG = 40
"""Sentences of which three facts do not fit into a small window."""


def judge(kind: type[BaseEvaluator], says: str, **settings: Any) -> Row:
    """An evaluator on its own: neither its query nor any nodes are told to a listener."""
    return Row(
        engine=kind.__name__,
        build=lambda desk: kind(llm=desk.llm, **settings),
        queries=(calls("judge", found=()),),
        ways=(Way(evaluate), Way(aevaluate)),
        says=[says],
        tells_question=False,
    )


# -- The rows


RESPONSE_MODES = (
    Row(
        engine="compact",
        build=lambda desk: desk.engine(),
        queries=(calls("answer"), calls("answer", found=(1,))),
        ways=PLAIN + STREAMED + READ_ELSEWHERE,
        remark="two queries",
    ),
    Row(
        engine="compact, more than a window holds",
        build=lambda desk: desk.engine(),
        queries=(calls("answer", *["refine"] * 6),),
        ways=PLAIN + STREAMED + READ_ELSEWHERE,
        llm=SMALL,
        sentences=LONG,
    ),
    Row(
        engine="refine",
        build=lambda desk: desk.engine(response_mode="refine"),
        queries=(calls("answer", "refine", "refine"),),
        remark="a call for each node",
    ),
    Row(
        engine="refine, nodes larger than a window",
        build=lambda desk: desk.engine(response_mode="refine"),
        queries=(calls("answer", *["refine"] * 5),),
        llm=SMALL,
        sentences=LONG,
        remark="a call for each half node",
    ),
    Row(
        engine="simple_summarize",
        build=lambda desk: desk.engine(response_mode="simple_summarize"),
        queries=(calls("answer"),),
    ),
    Row(
        engine="tree_summarize",
        build=lambda desk: desk.engine(response_mode="tree_summarize"),
        queries=(calls("answer"),),
    ),
    Row(
        engine="tree_summarize, more than a window holds",
        build=lambda desk: desk.engine(response_mode="tree_summarize"),
        queries=(calls("tree_step", "tree_step", "answer"),),
        ways=PLAIN + STREAMED + READ_ELSEWHERE,
        llm=SMALL,
        sentences=LONG,
        remark="the root answers",
    ),
    Row(
        engine="tree_summarize with `use_async`, more than a window holds",
        build=lambda desk: desk.engine(response_mode="tree_summarize", use_async=True),
        queries=(calls("tree_step", "tree_step", "answer"),),
        llm=SMALL_IN_THREADS,
        sentences=LONG,
    ),
    Row(
        engine="accumulate",
        build=lambda desk: desk.engine(response_mode="accumulate"),
        queries=(calls("answer", "answer", "answer"),),
        ways=PLAIN,
        remark="a call for each node; does not stream",
    ),
    Row(
        engine="compact_accumulate, more than a window holds",
        build=lambda desk: desk.engine(response_mode="compact_accumulate"),
        queries=(calls("answer", "answer"),),
        ways=PLAIN,
        llm=SMALL,
        sentences=LONG,
        remark="does not stream",
    ),
    Row(
        engine="generation",
        build=lambda desk: desk.engine(response_mode="generation"),
        queries=(calls("answer"),),
        remark="the question alone is sent, the nodes are not",
    ),
    Row(
        engine="no_text",
        build=lambda desk: desk.engine(response_mode="no_text"),
        queries=((),),
        ways=PLAIN,
        remark="asks no LLM",
    ),
    Row(
        engine="context_only",
        build=lambda desk: desk.engine(response_mode="context_only"),
        queries=((),),
        ways=PLAIN,
        remark="asks no LLM",
    ),
    Row(
        engine="refine with `structured_answer_filtering`",
        build=lambda desk: with_synthesizer(desk, response_mode="refine", structured_answer_filtering=True),
        queries=(calls("answer", "refine", "refine"),),
        says=[tool_call("StructuredRefineResponse", answer=f"Answer {n}.", query_satisfied=True) for n in range(3)],
        remark="answers are tool calls; `as_query_engine` does not hand the setting on",
    ),
    Row(
        engine="compact with `output_cls`",
        build=lambda desk: desk.engine(output_cls=Capital),
        queries=(calls("answer"),),
        ways=PLAIN,
        says=[tool_call("Capital", city="Paris")],
        remark="the answer is a tool call",
    ),
    Row(
        engine="compact with `output_cls`, a model that knows `json_schema`",
        build=lambda desk: desk.engine(output_cls=Capital),
        queries=(calls("answer"),),
        ways=PLAIN,
        says=['{"city": "Paris"}'],
        llm=model(OpenAI),
        remark="the answer is JSON",
    ),
    Row(
        engine="refine with `output_cls`",
        build=lambda desk: desk.engine(response_mode="refine", output_cls=Capital),
        queries=(calls("answer", "refine", "refine"),),
        ways=PLAIN,
        says=[tool_call("Capital", city="Paris")] * 3,
    ),
    Row(
        engine="tree_summarize with `output_cls`, more than a window holds",
        build=lambda desk: desk.engine(response_mode="tree_summarize", output_cls=Capital),
        queries=(calls("tree_step", "tree_step", "answer"),),
        ways=PLAIN,
        says=[tool_call("Capital", city="Paris")] * 3,
        llm=SMALL,
        sentences=LONG,
    ),
    Row(
        engine="refine with `multimodal`",
        build=lambda desk: with_synthesizer(desk, response_mode="refine", multimodal=True),
        queries=(calls("answer", "refine", "refine"),),
    ),
    Row(
        engine="compact with own templates, more than a window holds",
        build=lambda desk: with_own_templates(desk, "compact"),
        queries=(calls("answer", "refine", "refine", "refine"),),
        llm=SMALL,
        sentences=LONG,
        remark="German prompts, as in the next two rows",
    ),
    Row(
        engine="refine with own templates",
        build=lambda desk: with_own_templates(desk, "refine"),
        queries=(calls("answer", "refine", "refine"),),
    ),
    Row(
        engine="tree_summarize with own templates, more than a window holds",
        build=lambda desk: with_own_templates(desk, "tree_summarize"),
        queries=(calls("tree_step", "tree_step", "answer"),),
        llm=SMALL,
        sentences=LONG,
    ),
    Row(
        engine="`get_response_synthesizer()` without an engine, refine",
        build=lambda desk: desk,
        queries=(calls("answer", "refine", "refine"),),
        ways=(Way(by_hand), Way(by_hand_async)),
        remark="the nodes are those it was given",
    ),
)

QUERY_ENGINES = (
    Row(
        engine="CitationQueryEngine",
        build=lambda desk: CitationQueryEngine.from_args(
            desk.index, llm=desk.llm, retriever=desk.retriever, streaming=desk.streaming
        ),
        queries=(calls("answer"),),
        remark="the nodes are those retrieved, before they are cut into sources",
    ),
    Row(
        engine="SubQuestionQueryEngine",
        build=lambda desk: sub_questions(desk, use_async=False),
        queries=((Call("sub_question"), Call("answer", (0,)), Call("answer", (1,)), Call("answer", (0, 1))),),
        says=divides,
        remark="with LLMQuestionGenerator; two sub-questions, each answered from its own nodes",
    ),
    Row(
        engine="SubQuestionQueryEngine with `use_async`",
        build=lambda desk: sub_questions(desk, use_async=True),
        queries=((Call("sub_question"), Call("answer", (0,)), Call("answer", (1,)), Call("answer", (0, 1))),),
        says=divides,
        llm=DEFAULT_IN_THREADS,
    ),
    Row(
        engine="RouterQueryEngine",
        build=router,
        queries=(calls("selector", "answer", after=1),),
        says=[tool_call("SingleSelection", index=1, reason="It fits.")],
        remark="selects by a tool call",
    ),
    Row(
        engine="RouterQueryEngine, LLMSingleSelector",
        build=lambda desk: router(desk, LLMSingleSelector),
        queries=(calls("selector", "answer", after=1),),
        says=['[{"choice": 1, "reason": "It fits."}]'],
    ),
    Row(
        engine="RouterQueryEngine, PydanticMultiSelector",
        build=lambda desk: router(desk, PydanticMultiSelector),
        queries=((Call("selector"), Call("answer", (0,)), Call("answer", (1,)), Call("answer", (0, 1))),),
        ways=PLAIN,
        says=[tool_call("MultiSelection", selections=[{"index": n, "reason": "It fits."} for n in range(2)])],
        remark="two of two are asked, then one answer is made of both",
    ),
    Row(
        engine="RouterQueryEngine, LLMMultiSelector",
        build=lambda desk: router(desk, LLMMultiSelector),
        queries=((Call("selector"), Call("answer", (0,)), Call("answer", (1,)), Call("answer", (0, 1))),),
        ways=PLAIN,
        says=['[{"choice": 1, "reason": "It fits."}, {"choice": 2, "reason": "It fits."}]'],
    ),
    Row(
        engine="TransformQueryEngine, HyDEQueryTransform",
        build=lambda desk: TransformQueryEngine(desk.engine(), HyDEQueryTransform(llm=desk.llm)),
        queries=(calls("hyde", "answer", after=1),),
        asks_in_line=True,
        remark="the first call holds up the event loop in `aquery` too",
    ),
    Row(
        engine="TransformQueryEngine, DecomposeQueryTransform",
        build=decomposed,
        queries=(calls("sub_question", "answer", after=1),),
        says=lambda request: "Who?" if "The original question is" in str(request.messages) else None,
        asks_in_line=True,
    ),
    Row(
        engine="MultiStepQueryEngine, two steps",
        build=multi_step,
        queries=(
            (
                Call("sub_question"),
                Call("answer", (0,)),
                Call("sub_question", (0,)),
                Call("answer", (1,)),
                Call("answer", (0, 1)),
            ),
        ),
        says=["Who?", "Ana.", "Where?", "Rome.", "Ana, in Rome."],
        remark="a step's question is made with the nodes before it at hand",
    ),
    Row(
        engine="RetryQueryEngine, RelevancyEvaluator, content at once",
        build=retry,
        queries=(calls("answer", "judge"),),
        ways=PLAIN,
        says=["Ana.", "YES"],
    ),
    Row(
        engine="RetryQueryEngine, RelevancyEvaluator, content at the second try",
        build=retry,
        queries=((Call("answer", (0,)), Call("judge", (0,)), Call("answer", (1,))),),
        ways=PLAIN,
        says=["Ana.", "NO", "Bo."],
    ),
    Row(
        engine="query engine with LLMRerank",
        build=lambda desk: desk.engine(node_postprocessors=[LLMRerank(llm=desk.llm, top_n=2)]),
        queries=(calls("selector", "answer"),),
        says=["Doc: 1, Relevance: 9\nDoc: 2, Relevance: 5"],
        remark="the nodes are those retrieved, before some are left out",
    ),
    Row(
        engine="query engine with QueryFusionRetriever",
        build=fused,
        queries=((Call("sub_question"), Call("answer", "sources")),),
        says=["Who?\nWhere?"],
    ),
    Row(
        engine='query engine of SummaryIndex, `retriever_mode="llm"`',
        build=chosen_by_llm,
        queries=((Call("selector"), Call("answer", "sources")),),
        says=["Doc: 1, Relevance: 9"],
    ),
    Row(
        engine="query engine of KeywordTableIndex",
        build=found_by_keyword,
        queries=((Call("selector"), Call("answer", "sources")),),
        says=["KEYWORDS: fact"],
    ),
)

CHAT_ENGINES = (
    Row(
        engine="ContextChatEngine",
        build=lambda desk: ContextChatEngine.from_defaults(desk.retriever, llm=desk.llm, memory=memory()),
        queries=(calls("answer"), calls("answer", found=(1,))),
        ways=CHATS,
    ),
    Row(
        engine="ContextChatEngine, more than a window holds",
        build=lambda desk: ContextChatEngine.from_defaults(desk.retriever, llm=desk.llm, memory=memory()),
        queries=(calls("answer", *["refine"] * 4),),
        ways=CHATS,
        llm=SMALL,
        sentences=LONG,
        remark="one turn",
    ),
    Row(
        engine="CondensePlusContextChatEngine",
        build=lambda desk: CondensePlusContextChatEngine.from_defaults(desk.retriever, llm=desk.llm, memory=memory()),
        queries=(calls("answer"), calls("condense", "answer", found=(1,), after=1)),
        ways=CHATS,
        remark="`as_chat_engine()` makes it",
    ),
    Row(
        engine="CondensePlusContextChatEngine with own condense prompt",
        build=lambda desk: CondensePlusContextChatEngine.from_defaults(
            desk.retriever,
            llm=desk.llm,
            memory=memory(),
            condense_prompt="Bisher: {chat_history}\nNeu: {question}\n",
            context_prompt="Hintergrund: {context_str}\n",
        ),
        queries=(calls("answer"), calls("condense", "answer", found=(1,), after=1)),
        ways=CHATS,
    ),
    Row(
        engine="CondenseQuestionChatEngine",
        build=lambda desk: CondenseQuestionChatEngine.from_defaults(desk.engine(), llm=desk.llm, memory=memory()),
        queries=(calls("answer"), calls("condense", "answer", found=(1,), after=1)),
        ways=CHATS,
    ),
    Row(
        engine="SimpleChatEngine",
        build=lambda desk: SimpleChatEngine.from_defaults(llm=desk.llm, memory=memory()),
        queries=(calls("answer", found=()), calls("answer", found=())),
        ways=CHATS,
    ),
)

AGENTS = (
    Row(
        engine="FunctionAgent",
        build=lambda desk: FunctionAgent(tools=[add], llm=desk.llm, system_prompt="Be exact."),
        queries=(calls("tool_turn", "answer", found=()),),
        ways=RUNS,
        says=uses(tool_call("add", a=1, b=2)),
        remark="streams",
    ),
    Row(
        engine="FunctionAgent with `streaming=False`",
        build=lambda desk: FunctionAgent(tools=[add], llm=desk.llm, streaming=False),
        queries=(calls("tool_turn", "answer", found=()),),
        ways=RUNS,
        says=uses(tool_call("add", a=1, b=2)),
    ),
    Row(
        engine="FunctionAgent with a QueryEngineTool",
        build=lambda desk: FunctionAgent(tools=[desk.tool()], llm=desk.llm),
        queries=(calls("tool_turn", "answer", "answer", after=1),),
        ways=RUNS,
        says=uses(tool_call("facts", input="Who?")),
        remark="the query engine's answer, then the agent's",
    ),
    Row(
        engine="FunctionAgent with a QueryEngineTool, `streaming=False`",
        build=lambda desk: FunctionAgent(tools=[desk.tool()], llm=desk.llm, streaming=False),
        queries=(calls("tool_turn", "answer", "answer", after=1),),
        ways=RUNS,
        says=uses(tool_call("facts", input="Who?")),
    ),
    Row(
        engine="FunctionAgent with `output_cls`",
        build=lambda desk: FunctionAgent(tools=[add], llm=desk.llm, output_cls=Capital),
        queries=(calls("answer", "answer", found=()),),
        ways=RUNS,
        says=["Paris.", tool_call("Capital", city="Paris")],
        remark="the answer, then the same as a structure",
    ),
    Row(
        engine="ReActAgent",
        build=lambda desk: ReActAgent(tools=[add], llm=desk.llm),
        queries=(calls("tool_turn", "answer", found=()),),
        ways=RUNS,
        says=[
            'Thought: I need a tool.\nAction: add\nAction Input: {"a": 1, "b": 2}',
            "Thought: I can answer without using any more tools.\nAnswer: 3",
        ],
        remark="streams",
    ),
    Row(
        engine="ReActAgent with a QueryEngineTool, `streaming=False`",
        build=lambda desk: ReActAgent(tools=[desk.tool()], llm=desk.llm, streaming=False),
        queries=(calls("tool_turn", "answer", "answer", after=1),),
        ways=RUNS,
        says=[
            'Thought: I need a tool.\nAction: facts\nAction Input: {"input": "Who?"}',
            "Ana.",
            "Thought: I can answer without using any more tools.\nAnswer: Ana.",
        ],
    ),
    Row(
        engine="CodeActAgent",
        build=lambda desk: CodeActAgent(code_execute_fn=run_code, tools=[add], llm=desk.llm),
        queries=(calls("tool_turn", "answer", found=()),),
        ways=RUNS,
        says=["<execute>\nprint(1 + 2)\n</execute>", "It is 3."],
    ),
    Row(
        engine="AgentWorkflow, two agents",
        build=lambda desk: AgentWorkflow(
            agents=[
                FunctionAgent(name="first", description="Hands on.", llm=desk.llm, can_handoff_to=["second"]),
                FunctionAgent(name="second", description="Looks up.", llm=desk.llm, tools=[desk.tool()]),
            ],
            root_agent="first",
        ),
        queries=(calls("tool_turn", "tool_turn", "answer", "answer", after=2),),
        ways=RUNS,
        says=[tool_call("handoff", to_agent="second", reason="It knows."), tool_call("facts", input="Who?")],
        remark="the first hands over, the second uses a query engine",
    ),
    Row(
        engine="Workflow of the app's own, `run(query=...)`",
        build=OwnWorkflow,
        queries=(calls("answer", "answer"),),
        ways=(Way(run_by_query),),
        remark="a synthesizer's answer, then one of the LLM itself",
    ),
    Row(
        engine="Workflow of the app's own, `run(question=...)`",
        build=OwnWorkflow,
        queries=(calls("answer", "answer"),),
        ways=(Way(run_by_question),),
    ),
    Row(
        engine="Workflow of the app's own with its own start event",
        build=TypedWorkflow,
        queries=(calls("answer", "answer"),),
        ways=(Way(run_by_question),),
    ),
)

EVALUATORS = (
    judge(FaithfulnessEvaluator, "YES"),
    judge(RelevancyEvaluator, "YES"),
    judge(CorrectnessEvaluator, "4.0\nFine."),
    judge(AnswerRelevancyEvaluator, "Fine. [RESULT] 2"),
    judge(ContextRelevancyEvaluator, "Fine. [RESULT] 4"),
    judge(GuidelineEvaluator, '{"passing": true, "feedback": "Fine."}'),
    judge(PairwiseComparisonEvaluator, "[[A]]", enforce_consensus=False),
)

MATRIX = {
    "Response modes": RESPONSE_MODES,
    "Query engines": QUERY_ENGINES,
    "Chat engines": CHAT_ENGINES,
    "Agents and workflows": AGENTS,
    "Evaluators": EVALUATORS,
}
ROWS = tuple(row for rows in MATRIX.values() for row in rows)


def render() -> str:
    """The matrix as the sections of a page, one table each."""
    head = "| engine | calls | kinds in order | remarks |\n|---|---|---|---|"
    return "\n".join(
        f"## {title}\n\n{head}\n" + "".join(f"{row.render()}\n" for row in rows) for title, rows in MATRIX.items()
    )
