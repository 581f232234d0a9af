from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from judges import HANG, LetterEmbedding, RuleJudge

from llama_index_ft_rag.answering import Answer
from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring import RagasEvaluator, Score, current_scores, read_scores, score_answers
from llama_index_ft_rag.scoring.ragas_metrics import Statement

REFUSAL = "The context does not provide this information."


def _answer(question_id: str = "q1", text: str | None = "Rome is old.", **kwargs: Any) -> Answer:
    facts = {"question": "Why?", "arm": "base", "contexts": ["Rome is old"], **kwargs}
    return Answer(question_id=question_id, text=text, **facts)


async def _score(answers: list[Answer], llm: RuleJudge, **kwargs: Any) -> list[Score]:
    options = {"metrics": ["faithfulness"], "embed_model": LetterEmbedding(), "arm": "base", **kwargs}
    return await score_answers(answers, llm=llm, **options)


async def test_a_score_carries_all_that_a_report_shows() -> None:
    """Value, verdicts, cost and judge of one answer."""
    [score] = await _score([_answer()], RuleJudge())

    assert score == Score(
        question_id="q1",
        arm="base",
        metric="faithfulness",
        value=1.0,
        judge=RagasEvaluator("faithfulness", RuleJudge()).judge,
        answer_hash=score.answer_hash,
        calls=2,
        usage=Usage(prompt_tokens=200, completion_tokens=20),
        statements=[Statement(text="Rome is old", supported=True, reason="by rule")],
    )


async def test_scores_come_in_the_order_of_answers_metrics_and_repeats() -> None:
    """Whatever finishes first."""
    progress: list[tuple[int, int]] = []

    scores = await _score(
        [_answer("q1"), _answer("q2")],
        RuleJudge(),
        metrics=["answer_relevancy", "faithfulness"],
        repeats=2,
        on_progress=lambda done, total: progress.append((done, total)),
    )

    assert [(score.question_id, score.metric, score.repeat) for score in scores] == [
        (question, metric, repeat)
        for question in ("q1", "q2")
        for metric in ("answer_relevancy", "faithfulness")
        for repeat in (0, 1)
    ]
    assert progress == [(done, 8) for done in range(1, 9)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_answer(text=None, error="RateLimitError: 429"), "there is no answer to score: RateLimitError: 429"),
        (_answer(text=None), "there is no answer to score: the engine gave no text"),
        (_answer(text="half of", error="cut"), "there is no answer to score: cut"),
        (_answer(text=" "), "there is no answer to score"),
        (_answer(contexts=[]), "no context was retrieved, so there is nothing to check the answer against"),
    ],
)
async def test_an_answer_that_is_none_is_not_sent_to_the_judge(answer: Answer, reason: str) -> None:
    """A failed answer is neither 0 nor paid for."""
    llm = RuleJudge()

    [score] = await _score([answer], llm)

    assert (score.value, score.invalid_reason, llm.asked) == (None, reason, [])


async def test_abstentions_are_marked() -> None:
    """A refusal is told apart, whatever its score is."""
    scores = await _score([_answer("q1"), _answer("q2", REFUSAL)], RuleJudge())

    assert [score.abstained for score in scores] == [False, True]


async def test_a_second_run_pays_nothing_again(tmp_path: Path) -> None:
    """All scores come from the journal, equal to the first ones."""
    journal = tmp_path / "scores-base.jsonl"
    answers = [_answer("q1"), _answer("q2", REFUSAL), _answer("q3", None, error="failed")]
    metrics = ["faithfulness", "answer_relevancy"]
    first = await _score(answers, RuleJudge(), journal=journal, metrics=metrics)
    llm = RuleJudge()

    second = await _score(answers, llm, journal=journal, metrics=metrics)

    assert second == first
    assert {repr(score) for score in read_scores(journal)} == {repr(score) for score in first}
    assert llm.asked == []
    assert len(journal.read_text().splitlines()) == 6


async def test_an_interrupted_run_continues_where_it_stopped(tmp_path: Path) -> None:
    """What was scored before a cancelled run ended is on disk and is not asked again."""
    journal = tmp_path / "scores-base.jsonl"
    answers = [_answer("q1"), _answer("q2"), _answer("q3")]
    llm = RuleJudge(script={"verdicts": [json.dumps(_supported()), HANG]})
    run = asyncio.ensure_future(_score(answers, llm, journal=journal, concurrency=1))
    while len(llm.asked) < 4:
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    with journal.open("a") as stream:
        stream.write('{"question_id": "q2", "ar')
    again = RuleJudge()

    scores = await _score(answers, again, journal=journal)

    assert [score.value for score in scores] == [1.0, 1.0, 1.0]
    assert Counter(again.asked) == {"statements": 2, "verdicts": 2}


async def test_only_failures_that_may_heal_are_tried_again(tmp_path: Path) -> None:
    """An API error is; a judge that cannot do its work is not."""
    journal = tmp_path / "scores-base.jsonl"
    answers = [_answer("q1"), _answer("q2")]
    script = {"statements": [RuntimeError("503"), '{"statements": []}']}
    first = await _score(answers, RuleJudge(script=script), journal=journal, concurrency=1)
    llm = RuleJudge()

    second = await _score(answers, llm, journal=journal, concurrency=1)

    assert [score.invalid_reason for score in first] == [
        "RuntimeError: 503",
        "the judge found no statements in the answer",
    ]
    assert [score.value for score in second] == [1.0, None]
    assert llm.asked == ["statements", "verdicts"]
    assert read_scores(journal) == [second[0], second[1]]


@pytest.mark.parametrize(
    "changed",
    [
        {"answers": [_answer(text="Rome is old. It is.")]},
        {"answers": [_answer(contexts=["other"])]},
        {"arm": "tuned"},
        {"llm": RuleJudge(model="another")},
        {"repeats": 2},
    ],
)
async def test_what_changed_is_scored_anew(changed: dict[str, Any], tmp_path: Path) -> None:
    """Another answer, context, arm, judge or repeat never gets an old score."""
    journal = tmp_path / "scores.jsonl"
    await _score([_answer()], RuleJudge(), journal=journal)
    options: dict[str, Any] = {"answers": [_answer()], "llm": RuleJudge(), **changed}

    scores = await _score(**options, journal=journal)

    assert len(read_scores(journal)) == 2
    assert read_scores(journal)[-1] == scores[-1]


async def test_a_row_that_is_no_score_is_skipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged journal costs the damaged rows only."""
    journal = tmp_path / "scores.jsonl"
    scores = await _score([_answer()], RuleJudge(), journal=journal)
    with journal.open("a") as stream:
        stream.write('{"question_id": 3}\n')
    caplog.set_level(logging.WARNING)

    found = read_scores(journal)

    assert found == scores
    assert "has a row that is no score" in caplog.text


async def test_no_more_judge_calls_are_in_flight_than_allowed() -> None:
    """The bound holds over answers and metrics together, so a provider's rate limit can be kept."""
    llm = _BusyJudge()

    await _score(
        [_answer(f"q{i}") for i in range(10)],
        llm,
        metrics=["faithfulness", "answer_relevancy"],
        concurrency=3,
    )

    assert (llm.most, len(llm.asked)) == (3, 50)


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


def _supported() -> dict[str, Any]:
    return {"statements": [{"statement": "Rome is old", "reason": "", "verdict": 1}]}


async def test_scores_of_an_earlier_answer_or_judge_are_left_behind(tmp_path: Path) -> None:
    """A journal may hold both; what is compared belongs to the answers given, by the judge that scored last."""
    journal = tmp_path / "scores.jsonl"
    before, now = _answer(text="Rome is new."), _answer()
    for given in (before, now):
        await _score([given], RuleJudge(), journal=journal)
    [first, second] = read_scores(journal)
    by_old_judge = second.model_copy(update={"judge": "another"})

    assert current_scores([first, by_old_judge, second], [now]) == [second]
