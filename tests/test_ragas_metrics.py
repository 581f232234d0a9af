from __future__ import annotations

import math
from typing import Any

import pytest
from judges import LetterEmbedding, RuleJudge
from llama_index.core import Settings

from llama_index_ft_rag.errors import ScoringError
from llama_index_ft_rag.scoring.judge import JudgeEmbedding, JudgeLog
from llama_index_ft_rag.scoring.ragas_library import load_ragas
from llama_index_ft_rag.scoring.ragas_metrics import Measurement, RagasMetric, Statement

CASE = {"user_input": "Why?", "response": "Paris is big. Rome is old.", "retrieved_contexts": ["Rome is old", "x"]}


def _metric(metric: str | object = "faithfulness", **kwargs: Any) -> RagasMetric:
    return RagasMetric(metric, **{"llm": RuleJudge(), "embed_model": LetterEmbedding(), **kwargs})


async def test_faithfulness_tells_which_statements_the_contexts_support() -> None:
    """The score comes with the claims behind it."""
    log = JudgeLog()

    measurement = await _metric().measure(CASE, log)

    assert measurement == Measurement(
        value=0.5,
        statements=(
            Statement(text="Paris is big", supported=False, reason="by rule"),
            Statement(text="Rome is old", supported=True, reason="by rule"),
        ),
    )
    assert log.calls == 2


async def test_answer_relevancy_compares_the_question_with_three_generated_ones() -> None:
    """Three judge calls and two embedding requests, whatever the number of questions."""
    embed_model = LetterEmbedding()
    log = JudgeLog()

    measurement = await _metric("answer_relevancy", embed_model=embed_model).measure(CASE, log)

    generated = f"What about {CASE['response']}"
    assert measurement.questions == (generated,) * 3
    assert 0 < measurement.value < 1
    assert embed_model.requests == [["Why?"], [generated] * 3]
    assert log.calls == 3


async def test_the_judge_reads_exactly_the_prompt_that_ragas_would_send() -> None:
    """Scores stay comparable with ragas' own: rendering a prompt once changes no byte of it."""
    from ragas.metrics.collections.faithfulness.util import StatementGeneratorInput, StatementGeneratorPrompt

    llm = RuleJudge()

    await _metric(llm=llm).measure(CASE, JudgeLog())

    case = StatementGeneratorInput(question=CASE["user_input"], answer=CASE["response"])
    assert llm.messages[0] == [("user", StatementGeneratorPrompt().to_string(case))]


def test_an_old_metric_object_stands_for_its_name() -> None:
    """`from ragas.metrics import answer_relevancy`, as the post has it, still says what to measure."""
    load_ragas()
    with pytest.warns(DeprecationWarning, match="answer_relevancy"):
        from ragas.metrics import answer_relevancy

    metric = _metric(answer_relevancy)

    assert metric.name == "answer_relevancy"
    assert metric.inputs == {"user_input": True, "response": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "faithful"}, "metric 'faithful' is not known; use one of faithfulness, answer_relevancy or"),
        ({"metric": 3}, "metric 3 is not known"),
        ({"llm": "gpt-4"}, "llm is a str, not a LlamaIndex LLM"),
        ({"embed_model": object()}, "embed_model is a object, not a LlamaIndex BaseEmbedding"),
    ],
)
def test_what_cannot_be_a_metric_or_a_judge_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    """A wrong argument is told before any call is paid."""
    with pytest.raises(ScoringError, match=message):
        _metric(**arguments)


async def test_a_metric_object_is_asked_through_the_llm_given_and_not_changed() -> None:
    """A metric made for another judge can be lent."""
    own = _OwnJudge()
    original = _relevancy_object(own, strictness=1)
    log = JudgeLog()

    await _metric(original).measure(CASE, log)

    assert (log.calls, own.calls) == (1, 0)
    assert original.llm is own


async def test_a_metric_object_without_an_llm_given_keeps_its_own_judge() -> None:
    """A metric with a judge of ragas' own kind works as it is; its calls are counted."""
    own = _OwnJudge()
    log = JudgeLog()

    measurement = await RagasMetric(_relevancy_object(own)).measure(CASE, log)

    assert (log.calls, own.calls) == (3, 3)
    assert measurement.questions == ("Why?",) * 3
    assert measurement.value == pytest.approx(1.0)


async def test_a_judge_of_ragas_own_kind_is_checked_too() -> None:
    """An empty generated question is no score, whoever generated it."""
    metric = RagasMetric(_relevancy_object(_OwnJudge(question=" ")))

    with pytest.raises(ScoringError, match="the judge generated an empty question"):
        await metric.measure(CASE, JudgeLog())


async def test_a_metric_object_without_a_judge_is_just_computed() -> None:
    """Metrics that compare texts work too, and say what they need."""
    from ragas.metrics.collections import ExactMatch

    metric = RagasMetric(ExactMatch())
    log = JudgeLog()

    measurement = await metric.measure({"response": "a", "reference": "a", "user_input": "Why?"}, log)

    assert metric.inputs == {"reference": True, "response": True}
    assert (measurement, log.calls) == (Measurement(value=1.0), 0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("good", "made_up returned 'good', which is not a number"),
        (math.nan, "made_up came to no number"),
        (1.5, "made_up came to 1.5, which is out of its range 0 to 1"),
    ],
)
async def test_what_is_no_score_in_range_is_refused(returned: object, message: str) -> None:
    """A metric's slip is never averaged into a mean."""
    metric = RagasMetric(_made_up_metric(returned))

    with pytest.raises(ScoringError, match=message):
        await metric.measure(CASE, JudgeLog())


async def test_the_last_digit_of_a_cosine_does_not_cost_a_score() -> None:
    """A value that is out of range by rounding only is put back into it."""
    measurement = await RagasMetric(_made_up_metric(1.0000000001)).measure(CASE, JudgeLog())

    assert measurement.value == 1.0


def test_scores_of_different_judges_have_different_hashes() -> None:
    """Model, prompts, settings and embedding model each make another judge; the same ones make the same."""
    reworded = _metric()
    reworded.set_prompt("nli_statement_prompt", "Judge: {input_json}")
    hashes = [
        _metric().judge,
        _metric(llm=RuleJudge(model="other")).judge,
        reworded.judge,
        _metric("answer_relevancy").judge,
        _metric("answer_relevancy", embed_model=LetterEmbedding(model_name="other")).judge,
        _metric(_relevancy_object(_OwnJudge(), strictness=1)).judge,
        RagasMetric(_relevancy_object(_OwnJudge())).judge,
        RagasMetric(_made_up_metric(1.0)).judge,
    ]

    assert len(set(hashes)) == len(hashes)
    assert all(len(text) == 12 for text in hashes)
    assert _metric(embed_model=LetterEmbedding(model_name="unused")).judge == hashes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nli", "{input_json}", "faithfulness has no prompt 'nli'; it has .'nli_statement_prompt'"),
        ("nli_statement_prompt", "Judge!", "has no {input_json}; put it where the case goes"),
    ],
)
def test_a_prompt_that_could_not_work_is_refused(name: str, text: str, message: str) -> None:
    """A new prompt needs a known name and a place for the case."""
    with pytest.raises(ScoringError, match=message):
        _metric().set_prompt(name, text)


def test_models_that_are_not_given_come_from_settings() -> None:
    """Like LlamaIndex's own evaluators."""
    llm_before, embed_before = Settings._llm, Settings._embed_model
    Settings.llm, Settings.embed_model = RuleJudge(), LetterEmbedding()
    try:
        judge = RagasMetric("answer_relevancy").judge
    finally:
        Settings._llm, Settings._embed_model = llm_before, embed_before

    assert judge == _metric("answer_relevancy").judge


def _relevancy_object(llm: object, **settings: Any) -> Any:
    return load_ragas().answer_relevancy(llm=llm, embeddings=JudgeEmbedding(LetterEmbedding()), **settings)


def _made_up_metric(value: object) -> Any:
    class MadeUp(load_ragas().metric_class):
        """A numeric metric of a user's own."""

        async def ascore(self, response: str) -> Any:
            from ragas.metrics.result import MetricResult

            return MetricResult(value=value)

        def score(self, **_: Any) -> Any:
            raise NotImplementedError

    return MadeUp(name="made_up", allowed_values=(0.0, 1.0))


class _OwnJudge:
    """A judge of ragas' own kind, as `llm_factory` makes them."""

    def __init__(self, question: str = "Why?") -> None:
        from ragas.llms.base import InstructorBaseRagasLLM

        InstructorBaseRagasLLM.register(_OwnJudge)
        self.calls = 0
        self.question = question

    async def agenerate(self, prompt: str, response_model: Any) -> Any:
        self.calls += 1
        return response_model(question=self.question, noncommittal=0)
