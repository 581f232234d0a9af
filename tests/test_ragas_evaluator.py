from __future__ import annotations

import asyncio
from typing import Any

import pytest
from judges import HANG, LetterEmbedding, RuleJudge, verdicts
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.evaluation import BaseEvaluator, BatchEvalRunner, FaithfulnessEvaluator
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import TextNode

from llama_index_ft_rag.errors import ScoringError
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring.evaluator import RagasEvaluationResult, RagasEvaluator
from llama_index_ft_rag.scoring.ragas_metrics import Statement

# BatchEvalRunner's own constructor warns (llama-index-core 0.14).
CORE_WARNS = "ignore:asyncio_module:DeprecationWarning"

CASE = ("Why?", "Paris is big. Rome is old.", ["Rome is old"])


def _evaluator(metric: str = "faithfulness", *, script: dict[str, list[Any]] | None = None, **kwargs: Any) -> Any:
    return RagasEvaluator(metric, RuleJudge(script=script or {}), LetterEmbedding(), **kwargs)


def test_the_evaluator_is_one_of_llama_index() -> None:
    """Whatever takes a LlamaIndex evaluator takes this one."""
    assert BaseEvaluator in RagasEvaluator.__mro__


async def test_a_result_tells_score_statements_and_cost() -> None:
    """One evaluation, everything that is known about it."""
    evaluator = _evaluator()

    result = await evaluator.aevaluate(*CASE)

    assert result == RagasEvaluationResult(
        query="Why?",
        response="Paris is big. Rome is old.",
        contexts=["Rome is old"],
        passing=True,
        score=0.5,
        feedback="Not supported by the contexts: Paris is big (by rule)",
        metric="faithfulness",
        statements=[
            Statement(text="Paris is big", supported=False, reason="by rule"),
            Statement(text="Rome is old", supported=True, reason="by rule"),
        ],
        calls=2,
        usage=Usage(prompt_tokens=200, completion_tokens=20),
        judge=evaluator.judge,
    )


@pytest.mark.parametrize(("threshold", "passing"), [(0.5, True), (0.51, False)])
def test_passing_is_a_matter_of_the_threshold(threshold: float, passing: bool) -> None:
    """The synchronous call works as in LlamaIndex."""
    assert _evaluator(threshold=threshold).evaluate(*CASE).passing is passing


@pytest.mark.parametrize(
    ("metric", "answer", "feedback"),
    [
        ("faithfulness", "Rome is old.", "All 1 statements are supported by the contexts."),
        ("answer_relevancy", "Rome.", "The answer reads like one to: {0} / {0} / {0}"),
        (
            "answer_relevancy",
            "It does not provide it.",
            "The answer reads like one to: {0} / {0} / {0}; called evasive 3 of 3 times",
        ),
    ],
)
async def test_feedback_says_what_the_score_rests_on(metric: str, answer: str, feedback: str) -> None:
    """A reader sees the judge's grounds without opening the replies."""
    result = await _evaluator(metric).aevaluate("Why?", answer, ["Rome is old"])

    assert result.feedback == feedback.format(f"What about {answer}")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (("Why?", "", ["x"]), "there is no answer to score"),
        (("Why?", None, ["x"]), "there is no answer to score"),
        ((None, "Rome.", ["x"]), "there is no question to score the answer against"),
        (("Why?", "Rome.", []), "no context was retrieved, so there is nothing to check the answer against"),
        (("Why?", "Rome.", None), "no context was retrieved, so there is nothing to check the answer against"),
        (("Why?", "Rome.", [" "]), "no context was retrieved, so there is nothing to check the answer against"),
    ],
)
async def test_what_cannot_be_scored_costs_no_call(case: tuple[Any, ...], reason: str) -> None:
    """An empty answer or empty contexts are told apart from a bad score, for free."""
    result = await _evaluator().aevaluate(*case)

    assert (result.invalid_result, result.invalid_reason, result.score) == (True, reason, None)
    assert (result.calls, result.passing, result.retry) == (0, None, False)


async def test_a_text_given_as_contexts_is_one_context() -> None:
    """A slip in the call is not scored against single letters."""
    result = await _evaluator().aevaluate("Why?", "Rome is old.", "Rome is old")

    assert (result.score, result.contexts) == (1.0, ["Rome is old"])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            {"statements": ["no"] * 3},
            "the judge's reply could not be parsed: there is no JSON object in it (asked 3 times)",
        ),
        ({"statements": ['{"statements": []}']}, "the judge found no statements in the answer"),
        ({"verdicts": [verdicts(1)] * 3}, "the judge gave 1 verdicts for 2 statements (asked 3 times)"),
        ({"verdicts": [verdicts(1, 1, 1)] * 3}, "the judge gave 3 verdicts for 2 statements (asked 3 times)"),
        (
            {"verdicts": [verdicts(1, 7)] * 3},
            "the judge gave the verdict 7, which is neither 0 nor 1 (asked 3 times)",
        ),
    ],
)
async def test_a_judge_that_does_not_do_its_work_gives_no_score(script: dict[str, list[Any]], reason: str) -> None:
    """Wrong counts and odd verdicts are not averaged away; trying again later would not help."""
    result = await _evaluator(script=script).aevaluate(*CASE)

    assert (result.invalid_result, result.invalid_reason, result.retry) == (True, reason, False)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"question": " ", "noncommittal": 0}', "the judge generated an empty question (asked 3 times)"),
        (
            '{"question": "Why?", "noncommittal": 2}',
            "the judge gave 2 for noncommittal, which is neither 0 nor 1 (asked 3 times)",
        ),
    ],
)
async def test_a_generated_question_that_is_none_gives_no_score(reply: str, reason: str) -> None:
    """Ragas would make a 0 of it."""
    result = await _evaluator("answer_relevancy", script={"question": [reply] * 3}).aevaluate(*CASE)

    assert (result.invalid_reason, result.score) == (reason, None)


async def test_one_wrong_count_is_mended_by_asking_again() -> None:
    """A slip of the judge costs one more call, not the score."""
    result = await _evaluator(script={"verdicts": [verdicts(1)]}).aevaluate(*CASE)

    assert (result.score, result.calls) == (0.5, 3)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("429 too many requests"), "RuntimeError: 429 too many requests"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("bad key sk-abcdefghijk given"), "ValueError: bad key sk-... given"),
    ],
)
async def test_an_api_error_is_a_reason_and_worth_another_run(error: Exception, reason: str) -> None:
    """The error's class and words are kept, keys in it are not; what was paid until then is counted."""
    result = await _evaluator(script={"verdicts": [error]}).aevaluate(*CASE)

    assert (result.invalid_result, result.invalid_reason, result.retry) == (True, reason, True)
    assert (result.calls, result.usage.prompt_tokens) == (2, 100)


async def test_a_judge_that_never_answers_is_given_up() -> None:
    """No evaluation waits without a deadline."""
    result = await _evaluator(script={"statements": [HANG]}, timeout=0.05).aevaluate(*CASE)

    assert (result.invalid_reason, result.retry) == ("the judge was not done within 0.05 s", True)
    assert result.calls == 1


async def test_cancelling_is_not_swallowed() -> None:
    """Ctrl-C and cancelled tasks end the evaluation."""
    task = asyncio.ensure_future(_evaluator(script={"statements": [HANG]}).aevaluate(*CASE))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.filterwarnings(CORE_WARNS)
async def test_the_batch_runner_gets_results_for_good_and_bad_answers_alike() -> None:
    """Beside LlamaIndex's own evaluator, nothing raises and nothing is retried for seconds."""
    suite = RagasEvaluator.suite(llm=RuleJudge(), embed_model=LetterEmbedding())
    runner = BatchEvalRunner({**suite, "yes_or_no": FaithfulnessEvaluator(MockLLM())}, workers=4)

    results = await runner.aevaluate_response_strs(
        queries=["Why?", "How?"], response_strs=["Rome is old.", ""], contexts_list=[["Rome is old"], ["x"]]
    )

    assert list(results) == ["faithfulness", "answer_relevancy", "yes_or_no"]
    assert [result.score for result in results["faithfulness"]] == [1.0, None]
    assert [result.invalid_result for result in results["answer_relevancy"]] == [False, True]


@pytest.mark.filterwarnings(CORE_WARNS)
async def test_the_batch_runner_asks_an_engine_and_scores_its_answers() -> None:
    """`aevaluate_queries` hands over the contexts that the engine retrieved."""
    index = VectorStoreIndex([TextNode(text="Rome is old")], embed_model=MockEmbedding(embed_dim=4))
    runner = BatchEvalRunner(RagasEvaluator.suite(["faithfulness"], RuleJudge()))

    results = await runner.aevaluate_queries(index.as_query_engine(llm=MockLLM(max_tokens=3)), ["Why?"])

    assert [result.contexts for result in results["faithfulness"]] == [["Rome is old"]]
    assert [result.invalid_result for result in results["faithfulness"]] == [False]


async def test_a_reference_reaches_the_metrics_that_want_one() -> None:
    """`eval_kwargs_lists` of the runner work; without a reference the result says what is missing."""
    from ragas.metrics.collections import ExactMatch

    evaluator = RagasEvaluator(ExactMatch())

    scored = await evaluator.aevaluate("Why?", "Rome", reference="Rome", sleep_time_in_seconds=0.001)
    unscored = await evaluator.aevaluate("Why?", "Rome")

    assert (scored.score, scored.feedback) == (1.0, None)
    assert unscored.invalid_reason == "exact_match needs a reference for each question; pass it as reference="


async def test_prompts_can_be_read_and_replaced_as_in_llama_index() -> None:
    """`get_prompts` shows what the judge reads; an update changes it and the judge's hash."""
    llm = RuleJudge(script={"other": ['{"statements": ["Rome is old"]}']})
    evaluator = RagasEvaluator("faithfulness", llm)
    before = evaluator.judge
    assert sorted(evaluator.get_prompts()) == ["nli_statement_prompt", "statement_generator_prompt"]

    evaluator.update_prompts({"statement_generator_prompt": PromptTemplate("Split this: {input_json}")})
    result = await evaluator.aevaluate(*CASE)

    assert llm.messages[0][0][1].startswith('Split this: {\n    "question": "Why?"')
    assert result.score == 1.0
    assert result.judge == evaluator.judge != before


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["faithfulness", "faithfulness"], "metric 'faithfulness' is given twice"),
        ([], "no metric is given; use one or more of faithfulness, answer_relevancy"),
    ],
)
def test_a_suite_needs_metrics_with_different_names(metrics: list[str], message: str) -> None:
    """The runner keys its evaluators by name."""
    with pytest.raises(ScoringError, match=message):
        RagasEvaluator.suite(metrics, RuleJudge())


def test_a_suite_of_one_metric_may_be_its_name() -> None:
    """A plain name is not read letter by letter."""
    suite = RagasEvaluator.suite("faithfulness", RuleJudge())

    assert [(name, evaluator.needs_contexts) for name, evaluator in suite.items()] == [("faithfulness", True)]
