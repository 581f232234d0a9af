from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
import yaml
from judges import LetterEmbedding, RuleJudge
from pydantic import BaseModel

from llama_index_ft_rag.examples import Usage
from llama_index_ft_rag.scoring.judge import (
    JudgeEmbedding,
    JudgeLLM,
    JudgeLog,
    UnusableReplyError,
    WatchedLLM,
    read_reply,
)
from llama_index_ft_rag.scoring.ragas_library import load_ragas


class City(BaseModel):
    """What the judge is asked for here."""

    name: str
    people: int = 0


class Cities(BaseModel):
    """A reply with a single field."""

    names: list[str]


def _recorded_replies(folder: Path) -> list[tuple[str, str]]:
    pairs = []
    for path in sorted(folder.glob("*.yaml")):
        for exchange in yaml.safe_load(path.read_text())["interactions"]:
            if exchange["request"]["uri"].endswith("/chat/completions"):
                prompt = json.loads(exchange["request"]["body"])["messages"][0]["content"]
                reply = json.loads(gzip.decompress(exchange["response"]["body"]["string"]))
                pairs += [(prompt, choice["message"]["content"]) for choice in reply["choices"]]
    return pairs


def _no_check(reply: BaseModel, earlier: object) -> None:
    return None


def _judge_saying(*replies: object, finish_reason: str = "stop") -> RuleJudge:
    return RuleJudge(script={"other": list(replies)}, finish_reason=finish_reason)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Bern"}',
        '```json\n{"name": "Bern"}\n```',
        'Sure! Here it is:\n{"name": "Bern"}\nAnything else?',
        '<think>{"name": "Rome"}?</think>{"name": "Bern"}',
        'First draft {"name": "Rome"}, corrected: {"name": "Bern"}',
        'With braces {like this} and {"other": 1} before {"name": "Bern", "extra": []}',
    ],
)
def test_a_reply_is_read_whatever_stands_around_it(text: str) -> None:
    """Fences, chatter, reasoning and drafts do not cost a score."""
    assert read_reply(text, City) == City(name="Bern")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("Bern", "there is no JSON object in it"),
        ('{"name": "Be', "there is no JSON object in it"),
        ('{"town": "Bern"}', "name: Field required"),
        ('{"a":' * 5000, "there is no JSON object in it"),
        ("[" * 5000, "there is no JSON object in it"),
        ('["Bern"]', "Input should be a valid dictionary or instance of City"),
    ],
)
def test_an_unreadable_reply_says_what_is_wrong_with_it(text: str, problem: str) -> None:
    """Truncated, empty, misfitting and hostile replies end as one sentence."""
    with pytest.raises(UnusableReplyError) as caught:
        read_reply(text, City)

    assert str(caught.value) == f"the judge's reply could not be parsed: {problem}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('```["Bern", "Rome"]```', ["Bern", "Rome"]),
        ('Sources [1], [2]: ["Bern"]', ["Bern"]),
        ('{"names": ["Bern"]} (I also thought of ["Rome"])', ["Bern"]),
    ],
)
def test_a_bare_list_stands_for_the_object_of_one_list(text: str, names: list[str]) -> None:
    """Older chat models leave out the outer object."""
    assert read_reply(text, Cities) == Cities(names=names)


def test_recorded_replies_of_a_real_judge_are_read() -> None:
    """Verdicts and questions that gpt-3.5 gave to ragas' older prompts."""
    folder = os.environ.get("FT_RAG_TEST_DATA")
    if not folder:
        pytest.skip("FT_RAG_TEST_DATA is not set: the recordings are not at hand")
    ragas = load_ragas()
    recorded = _recorded_replies(Path(folder, "recordings", "datadog-ragas"))

    read = [
        read_reply(reply, ragas.question_reply if prompt.startswith("Generate") else ragas.verdicts_reply)
        for prompt, reply in recorded
        if prompt.startswith(("Generate a question", "Your task is to judge"))
    ]

    assert len(read) == 7


async def test_a_bad_reply_is_sent_back_with_what_is_wrong() -> None:
    """The second try sees the first reply and its error; both are counted."""
    llm = _judge_saying("Bern.", '{"name": "Bern"}')
    log = JudgeLog()

    city = await JudgeLLM(llm, log, check=_no_check).agenerate("Which city?", City)

    problem = "the judge's reply could not be parsed: there is no JSON object in it"
    again = f"That cannot be used: {problem}. Reply with the complete JSON object and nothing else."
    assert city == City(name="Bern")
    assert llm.messages == [
        [("user", "Which city?")],
        [("user", "Which city?"), ("assistant", "Bern."), ("user", again)],
    ]
    assert (log.calls, log.usage) == (2, Usage(prompt_tokens=200, completion_tokens=20))
    assert log.replies == [City(name="Bern")]


async def test_after_three_bad_replies_the_judge_gives_up() -> None:
    """A judge that never answers as asked costs three calls, not an endless loop."""
    llm = _judge_saying("no", "", "no", '{"name": "too late"}')
    log = JudgeLog()

    with pytest.raises(UnusableReplyError, match=r"no JSON object in it \(asked 3 times\)$"):
        await JudgeLLM(llm, log, check=_no_check).agenerate("Which city?", City)

    assert log.calls == 3
    assert log.replies == []


async def test_a_reply_that_fails_its_check_is_sent_back() -> None:
    """What is well-formed but wrong is treated like what cannot be parsed."""
    llm = _judge_saying('{"name": "X", "people": -1}', '{"name": "X", "people": 1}')

    def check(reply: BaseModel, earlier: object) -> str | None:
        return "people are counted from 0" if isinstance(reply, City) and reply.people < 0 else None

    city = await JudgeLLM(llm, JudgeLog(), check=check).agenerate("Which city?", City)

    assert city == City(name="X", people=1)


async def test_a_reply_cut_off_at_the_token_limit_is_not_asked_again() -> None:
    """The same limit would cut it off again; the reason names the setting."""
    llm = _judge_saying('{"name": "Be', finish_reason="length")
    log = JudgeLog()

    with pytest.raises(UnusableReplyError, match="cut off at the judge's token limit; raise max_tokens"):
        await JudgeLLM(llm, log, check=_no_check).agenerate("Which city?", City)

    assert log.calls == 1


async def test_the_judge_llm_keeps_its_own_settings() -> None:
    """Nothing is written onto the LLM that the user passed."""
    llm = _judge_saying('{"name": "Bern"}')
    before = llm.model_dump(exclude={"script"})

    await JudgeLLM(llm, JudgeLog(), check=_no_check).agenerate("Which city?", City)

    assert llm.model_dump(exclude={"script"}) == before


async def test_several_texts_are_embedded_with_one_request() -> None:
    """A batch of generated questions is one request."""
    model = LetterEmbedding()

    vectors = await JudgeEmbedding(model).aembed_texts(["ab", "b", "c"])

    assert model.requests == [["ab", "b", "c"]]
    assert [vector[:3] for vector in vectors] == [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


async def test_the_synchronous_doors_work_inside_a_running_loop() -> None:
    """Metrics that call the judge synchronously get the same answers."""
    judge = JudgeLLM(_judge_saying('{"name": "Bern"}'), JudgeLog(), check=_no_check)
    embedding = JudgeEmbedding(LetterEmbedding())

    assert judge.generate("Which city?", City) == City(name="Bern")
    assert embedding.embed_text("a") == (await embedding.aembed_text("a"))
    assert embedding.embed_texts(["a"]) == [embedding.embed_text("a")]


def test_a_judge_that_came_with_a_metric_is_counted_through_its_synchronous_door() -> None:
    """Whichever door a metric uses, its calls and replies are in the log."""
    log = JudgeLog()
    inner = JudgeLLM(_judge_saying('{"name": "Bern"}'), JudgeLog(), check=_no_check)

    city = WatchedLLM(inner, log, check=_no_check).generate("Which city?", City)

    assert (city, log.calls, log.replies) == (City(name="Bern"), 1, [City(name="Bern")])
