"""Recorded examples are scored with the evaluation's own metrics, and what cannot be scored says why."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import write_report
from judges import HANG, LetterEmbedding, RuleJudge
from llama_index.core import VectorStoreIndex
from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT, CHAT_TEXT_QA_PROMPT
from llama_index.core.schema import TextNode

from llama_index_ft_rag.answering import REFUSALS, Answer
from llama_index_ft_rag.curation import curate, read_example_scores, read_prompt, write_example_scores
from llama_index_ft_rag.documents import load_documents, split_documents
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError, ScoringError
from llama_index_ft_rag.examples import TrainingExample, Usage
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.recording import OpenAIFineTuningHandler
from llama_index_ft_rag.recording.messages import to_wire
from llama_index_ft_rag.scoring import RagasEvaluator, ascore_examples, score_answers, score_examples
from llama_index_ft_rag.testing import ChatRequest, RunningBackend, ScriptedResponder, mentions, rate_limited

TRUE, FALSE = "Rome is old.", "Rome is old. Paris is big."
CONTEXT, OTHER_CONTEXT = "Rome is old", "Oslo is cold"
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
NO_TEMPLATE = "its context is not known: its prompt was made by no known template; pass your prompts as templates"
NO_DRAFT = "it refines a draft whose context is not known; score it together with the call that wrote the draft"


def answered(answer: object = TRUE, *, context: str = CONTEXT, question: str = "Why?", **facts: Any) -> TrainingExample:
    """An example as an engine's own prompt makes it; an answer that is a dict is the whole message."""
    prompt = to_wire(CHAT_TEXT_QA_PROMPT.format_messages(context_str=context, query_str=question))
    message = answer if isinstance(answer, dict) else {"role": "assistant", "content": answer}
    return TrainingExample(messages=[*prompt, message], **facts)


def refined(answer: str, *, draft: str = TRUE, question: str = "Why?", **facts: Any) -> TrainingExample:
    """A refine step as an engine's own prompt makes it, with the other context."""
    prompt = CHAT_REFINE_PROMPT.format_messages(context_msg=OTHER_CONTEXT, query_str=question, existing_answer=draft)
    return TrainingExample(
        messages=[*to_wire(prompt), {"role": "assistant", "content": answer}], kind="refine", **facts
    )


def asking(text: str, answer: str = TRUE, **facts: Any) -> TrainingExample:
    """An example of a prompt in somebody's own words."""
    return TrainingExample(
        messages=[{"role": "user", "content": text}, {"role": "assistant", "content": answer}], **facts
    )


async def values(examples: list[TrainingExample], llm: RuleJudge | None = None, **options: Any) -> list[float | None]:
    """The scores in their order."""
    return list((await ascore_examples(examples, llm=llm or RuleJudge(), **options)).values())


async def test_each_answer_is_scored_against_its_own_context() -> None:
    """Scores come by content hash, in the order of the examples, with the judge and what it cost."""
    examples = [answered(FALSE), answered(), answered(context=OTHER_CONTEXT)]

    scores = await ascore_examples(examples, llm=RuleJudge())

    assert list(scores.items()) == list(zip([one.content_hash for one in examples], [0.5, 1.0, 0.0], strict=True))
    assert (scores.reasons, scores.metric) == ({}, "faithfulness")
    assert (scores.calls, scores.usage) == (6, Usage(prompt_tokens=600, completion_tokens=60))
    assert scores.judge == RagasEvaluator("faithfulness", RuleJudge()).judge


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (asking("Why?"), NO_TEMPLATE),
        (answered(context=""), "no context was retrieved, so there is nothing to check the answer against"),
        (answered(question=""), "there is no question to score the answer against"),
        (answered(" \n"), "there is no answer to score"),
        (answered(None), "there is no answer to score"),
        (answered({"role": "assistant", "content": "I look.", "tool_calls": [CALL]}), "the answer is a tool call"),
        (answered({"role": "assistant", "function_call": CALL["function"]}), "the answer is a tool call"),
        (answered({"role": "user", "content": "Well?"}), "there is no answer to score"),
        (TrainingExample(messages=[]), "there is no answer to score"),
        (refined(TRUE), NO_DRAFT),
    ],
)
async def test_what_cannot_be_scored_has_a_reason_and_no_score(example: TrainingExample, reason: str) -> None:
    """It is never 0, and the judge is not paid for it."""
    llm = RuleJudge()

    scores = await ascore_examples([example], llm=llm)

    assert (scores, scores.reasons) == ({example.content_hash: None}, {example.content_hash: reason})
    assert (llm.asked, scores.calls) == ([], 0)


async def test_a_failed_judgement_loses_its_own_example_only(caplog: pytest.LogCaptureFixture) -> None:
    """A failed call, a judge that never answers and one that talks leave the others their scores, and are told."""
    examples = [answered(f"{TRUE} {number}.") for number in range(4)] + [asking("Why?"), asking("How?")]
    llm = RuleJudge(script={"statements": [RuntimeError("wrong key sk-abcdefgh123"), HANG, *["no"] * 3]})
    caplog.set_level(logging.WARNING, logger="llama_index_ft_rag.scoring.example_scores")

    scores = await ascore_examples(examples, llm=llm, concurrency=1, timeout=1)

    broken, hanging, talking = (
        "RuntimeError: wrong key sk-...",
        "the judge was not done within 1 s",
        "the judge's reply could not be parsed: there is no JSON object in it (asked 3 times)",
    )
    assert list(scores.values()) == [None, None, None, 0.5, None, None]
    assert list(scores.reasons.values()) == [broken, hanging, talking, NO_TEMPLATE, NO_TEMPLATE]
    assert scores.reason_counts() == {NO_TEMPLATE: 2, broken: 1, hanging: 1, talking: 1}
    assert caplog.messages[-1] == (
        f"faithfulness: 5 of 6 examples could not be scored: 2 x {NO_TEMPLATE}; 1 x {broken}; 1 x {hanging}; "
        f"1 x {talking}"
    )


@pytest.mark.parametrize("text", [TRUE, FALSE, REFUSALS["en"]])
async def test_an_example_scores_what_the_same_answer_scores_in_an_evaluation(text: str) -> None:
    """One that declines, too: whether it is worth keeping is said by the rule of abstentions, not by its score."""
    answer = Answer(question_id="q", question="Why?", arm="teacher", text=text, contexts=[CONTEXT])

    [score] = await score_answers([answer], arm="teacher", metrics=["faithfulness"], llm=RuleJudge())

    assert await values([answered(text)]) == [score.value]


async def test_equal_examples_are_scored_once() -> None:
    """An example that is there again costs nothing; progress counts what is judged."""
    llm, progress = RuleJudge(), []

    found = await values(
        [answered(), answered(FALSE), answered(), asking("Why?")], llm, on_progress=lambda *now: progress.append(now)
    )

    assert (found, len(llm.asked), progress) == ([1.0, 0.5, None], 4, [(1, 2), (2, 2)])


async def test_a_refine_step_may_say_what_its_draft_was_told() -> None:
    """Each step of a chain is checked against its own context and those behind its draft, and no other."""
    second = "Rome is old. Oslo is cold."
    examples = [
        answered(),
        refined(second),
        refined(f"{second} Paris is big. Lima is dry.", draft=second),
        answered("Oslo is cold.", question="Another?"),
    ]

    assert await values(examples) == [1.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "before",
    [
        answered(question="Who?"),
        answered(query_id="another query"),
        asking("Why?"),
        answered("Another answer."),
    ],
)
async def test_a_refine_step_whose_draft_has_no_known_context_is_not_scored(before: TrainingExample) -> None:
    """Against its own context alone, what the draft knew would count as made up."""
    scores = await ascore_examples([before, refined(TRUE)], llm=RuleJudge())

    assert scores.reasons[refined(TRUE).content_hash] == NO_DRAFT


async def test_an_equal_example_that_can_be_scored_counts() -> None:
    """A refine step before its draft, again behind it, and again in a query without it has a score."""
    examples = [refined(TRUE), answered(), refined(TRUE), refined(TRUE, query_id="another query")]

    scores = await ascore_examples(examples, llm=RuleJudge())

    assert (list(scores.values()), scores.reasons) == ([1.0, 1.0], {})


async def test_contexts_are_found_in_prompts_of_the_callers_own() -> None:
    """The same templates serve `curate`."""
    example = asking("Read this: Rome is old\nThen say: Why?")

    assert await values([example], templates=["Read this: {context_str}\nThen say: {query_str}"]) == [1.0]


async def test_text_in_parts_is_an_answer() -> None:
    """As the wire format has it."""
    parts = [{"type": "text", "text": "Rome is old."}, {"type": "text", "text": "Paris is big."}]

    assert await values([answered(parts)]) == [0.5]


@pytest.mark.parametrize(("facts", "question"), [({"question": "Why, then?"}, "Why, then?"), ({}, "Why?")])
async def test_the_question_is_the_recorded_one_or_the_prompts(facts: dict[str, Any], question: str) -> None:
    """Whichever is known first."""
    llm = RuleJudge()

    await values([answered(**facts)], llm)

    assert f'"question": "{question}"' in llm.messages[0][0][1].rsplit("\ninput: ", 1)[1]


async def test_a_metric_that_reads_no_context_needs_no_template() -> None:
    """Answer relevancy takes the question that was recorded; without one there is no score."""
    examples = [asking("q", TRUE, question=f"What about {TRUE}"), asking("q", FALSE)]

    scores = await ascore_examples(examples, llm=RuleJudge(), embed_model=LetterEmbedding(), metric="answer_relevancy")

    assert list(scores.values()) == [pytest.approx(1.0), None]
    assert list(scores.reasons.values()) == ["there is no question to score the answer against"]


@pytest.mark.parametrize(
    ("examples", "options", "error", "message"),
    [
        ("file.jsonl", {}, ConfigurationError, "examples: str is no TrainingExample; read a file with read_examples"),
        (
            [answered()],
            {"templates": "{context_str}"},
            ConfigurationError,
            "templates is '{context_str}'; pass a list, such as ['{context_str}']",
        ),
        (
            [],
            {"metric": "truth"},
            ScoringError,
            "metric 'truth' is not known; use one of faithfulness, answer_relevancy or a metric object of "
            "ragas.metrics.collections",
        ),
    ],
)
def test_a_wrong_argument_is_said_before_anything_is_paid(
    examples: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """One sentence, and no call."""
    llm = RuleJudge()

    with pytest.raises(error) as caught:
        score_examples(examples, llm=llm, **options)

    assert (str(caught.value), llm.asked) == (message, [])


async def test_no_more_answers_are_judged_at_once_than_allowed() -> None:
    """A provider's rate limit can be kept."""
    examples = [answered(f"{TRUE} {number}.") for number in range(9)]
    llm = _BusyJudge()

    await values(examples, llm, concurrency=3)

    assert (llm.most, len(llm.asked)) == (3, 18)


class _BusyJudge(RuleJudge):
    """Counts how many of its calls are under way at once."""

    now: int = 0
    most: int = 0

    async def achat(self, messages: Any, **kwargs: Any) -> Any:
        """Take a few turns of the loop over each reply."""
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        return await super().achat(messages, **kwargs)


def test_a_judge_behind_a_ledger_is_paid_once(tmp_path: Path) -> None:
    """The second run sends nothing and scores the same."""
    examples = [answered(), answered(FALSE)]
    judges = [RuleJudge(), RuleJudge()]
    found = []
    for judge in judges:
        with Ledger(tmp_path / "ledger.db") as ledger:
            found.append(score_examples(examples, llm=ledger.wrap(judge, stage="examples", arm="teacher")))

    assert [list(scores.values()) for scores in found] == [[1.0, 0.5]] * 2
    assert [len(judge.asked) for judge in judges] == [4, 0]


async def test_the_synchronous_door_works_inside_a_running_loop() -> None:
    """In a notebook it gives what the other one gives."""
    examples = [answered(FALSE), asking("Why?")]

    assert score_examples(examples, llm=RuleJudge()) == await ascore_examples(examples, llm=RuleJudge())


async def test_scores_survive_being_written(tmp_path: Path) -> None:
    """What could not be scored stays so in the file."""
    scores = await ascore_examples([answered(FALSE), asking("Why?")], llm=RuleJudge())

    write_example_scores(tmp_path / "scores.jsonl", scores)

    assert read_example_scores(tmp_path / "scores.jsonl") == scores


def test_a_recorder_does_not_take_verdicts_for_answers() -> None:
    """Whoever records the process while scoring does not train on what the judge says."""
    handler = OpenAIFineTuningHandler()
    handler.attach()

    with RunningBackend() as backend:
        scores = score_examples([answered()], llm=backend.endpoint.llm("offline-judge"))
    handler.detach()

    assert (list(scores.values()), handler.examples()) == ([1.0], [])


def test_without_ragas_it_says_what_to_install() -> None:
    """Before it looks at an example, as an evaluation does."""
    code = (
        "import sys; sys.modules['ragas'] = None\n"
        "from llama_index.core.llms import MockLLM\n"
        "from llama_index_ft_rag.errors import MissingExtraError\n"
        "from llama_index_ft_rag.scoring import score_examples\n"
        "try:\n    score_examples([], llm=MockLLM())\n"
        "except MissingExtraError as error:\n    print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == 'scoring with ragas needs ragas: pip install "llama-index-ft-rag[ragas]"\n'


def test_from_documents_to_what_is_kept(tmp_path: Path) -> None:
    """Offline, end to end: the teacher's answers are recorded, scored by the rule judge, and kept as they are true."""
    endpoint = Endpoint.for_offline(tmp_path / "offline")
    nodes = split_documents(load_documents([write_report(tmp_path / "report.md", departments=8)]), chunk_size=256)
    index = VectorStoreIndex(nodes, embed_model=endpoint.embedding())
    handler = OpenAIFineTuningHandler()
    with handler.recording(query_id="q"):
        engine = index.as_query_engine(llm=endpoint.llm("offline-teacher"), similarity_top_k=1)
        for name in ("Harbour 1", "Orchard 1", "Foundry 1"):
            engine.query(f"Who has led the {name} department?")
    [first, *rest] = handler.examples()
    lie = first.model_copy(
        update={"messages": [*first.messages[:-1], {"role": "assistant", "content": "The moon is."}]}
    )

    scores = score_examples([first, lie, *rest], llm=endpoint.llm("offline-judge"))
    curation = curate([first, lie, *rest], scores=scores, min_score=0.8, near_duplicates=None)

    assert list(scores.values()) == [1.0, 0.0, 1.0, 1.0]
    assert curation.kept == [first, *rest]
    assert [[reason.text for reason in one.reasons] for one in curation.dropped] == [["scores 0.00, below 0.80"]]


SENTENCES = (
    "Harbour employed 120 people in 2025.",
    "Ana Duarte has led Harbour since 2001.",
    "Orchard earned $3.4 million in 2025.",
    "Bo Lindqvist has led Orchard since 2012.",
)


def teacher(request: ChatRequest) -> str:
    """Answers with its context; of Orchard it makes something up when it refines."""
    parts = read_prompt(request.messages)
    assert parts is not None
    if parts.draft is None:
        return parts.context.strip()
    made_up = "Orchard" in (parts.question or "")
    return f"{parts.draft} {'Orchard sold 999 boats to Mars.' if made_up else parts.context.strip()}"


def recorded_refining(endpoint: Endpoint) -> list[TrainingExample]:
    """Two queries through a real engine that answers from one node and refines with another."""
    handler = OpenAIFineTuningHandler()
    with RunningBackend(responder=ScriptedResponder(teacher)) as backend, handler.recording():
        index = VectorStoreIndex([TextNode(text=text) for text in SENTENCES], embed_model=endpoint.embedding())
        llm = backend.endpoint.llm("gpt-4.1")
        engine = index.as_query_engine(llm=llm, similarity_top_k=2, response_mode="refine")
        for name in ("Harbour", "Orchard"):
            engine.query(f"Who has led {name}?")
    return handler.examples()


def test_a_refine_step_that_makes_something_up_is_dropped_and_a_good_one_is_kept(tmp_path: Path) -> None:
    """What it adds to its draft is what it is judged by."""
    endpoint = Endpoint.for_offline(tmp_path)
    examples = recorded_refining(endpoint)

    scores = score_examples(examples, llm=endpoint.llm("offline-judge"))
    curation = curate(examples, scores=scores, min_score=0.4, near_duplicates=None)

    assert list(scores.values()) == [1.0, 1.0, 1.0, 0.5]
    assert [example.kind for example in examples] == ["answer", "refine"] * 2
    assert curation.kept == examples[:3]
    assert [(one.example, [(reason.rule, reason.text) for reason in one.reasons]) for one in curation.dropped] == [
        (examples[3], [("made_worse", "made its draft worse: 1.00 became 0.50")])
    ]


def test_an_answer_the_service_would_not_judge_is_kept_unjudged() -> None:
    """One refused request is one example without a score; the others have theirs, and `curate` tells."""
    examples = [answered("Rome is old."), answered("Oslo is cold.")]
    with RunningBackend() as backend:
        backend.faults.add(rate_limited(), where=mentions("Oslo"))
        scores = score_examples(examples, llm=backend.endpoint.llm("offline-judge", max_retries=0))
    curation = curate(examples, scores=scores, min_score=0.8, near_duplicates=None)

    assert list(scores.values()) == [1.0, None]
    assert [reason.split(":")[0] for reason in scores.reasons.values()] == ["RateLimitError"]
    assert curation.kept == examples
    assert curation.notices[0] == "1 of 2 examples have no score, and were not judged by it"
