"""Which examples say nearly the same as an earlier one, and which only look like it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from curated import DATA, EVENTS, answered, needs_data, refined, table_rows, taught

from llama_index_ft_rag.curation import Reason, curate
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample, read_examples

WORDS = [f"{first}{second}o" for first in "bcdfghjklm" for second in "aeiouy"]
LONG = " ".join(WORDS)
"""60 words, each once."""
PASSAGE = " ".join(f"{word}n" for word in WORDS)
ZH = "这家公司在北方建造的工厂有红色屋顶、高大烟囱、两扇铁门和一个小花园，工人们中午到那里休息，谈论下周天气。"
TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"city": "Paris"}'}}

ALIKE = {
    "one word in sixty": (taught("Who?", LONG), taught("Who?", LONG.replace("geo", "gap")), 0.90),
    "case and punctuation": (taught("Who?", LONG), taught("WHO?!", f"{LONG.upper()}..."), 1.00),
    "a word more": (taught("Who?", LONG), taught("Who?", f"{LONG} too"), 0.98),
    "one letter of a Chinese answer": (taught("谁？", ZH), taught("谁？", ZH.replace("红", "蓝")), 0.88),
    "a word of a long prompt": (
        taught(f"{PASSAGE}. Who?", "Ana."),
        taught(f"{PASSAGE.replace('geon', 'gap')}. Who?", "Ana."),
        0.90,
    ),
    "the system prompt": (
        TrainingExample(messages=[{"role": "system", "content": LONG}, *taught("Who?", LONG).messages]),
        TrainingExample(messages=[{"role": "system", "content": f"{LONG} too"}, *taught("Who?", LONG).messages]),
        0.92,
    ),
}
"""Two examples, and the similarity of the second to the first."""
UNLIKE = {
    "another year in the answer": (taught("Who?", f"{LONG} 2022"), taught("Who?", f"{LONG} 2023")),
    "another year in the question": (taught("Who in 2022?", LONG), taught("Who in 2023?", LONG)),
    "a loss": (taught("How much?", f"{LONG} 15"), taught("How much?", f"{LONG} -15")),
    "one number more": (taught("Who?", f"{LONG} 2022"), taught("Who?", f"{LONG} 2022 4")),
    "another question on one passage": (
        answered("Who?", "Ana.", context=PASSAGE),
        answered("Since when?", "Long ago.", context=PASSAGE),
    ),
    "the same question on another passage": (
        answered("Who?", LONG, context=PASSAGE),
        answered("Who?", LONG, context=PASSAGE[::-1]),
    ),
    "a refine step of the same query": (
        refined("Who?", LONG, draft="Ana.", context=PASSAGE),
        refined("Who?", LONG, draft="Ana.", context=PASSAGE[::-1]),
    ),
    "words in another order": (taught("Who?", LONG), taught("Who?", " ".join(reversed(WORDS)))),
    "short answers": (taught("Is it?", "Yes."), taught("Is it?", "No.")),
    "another year in Chinese": (taught("谁？", f"{ZH}2022"), taught("谁？", f"{ZH}2023")),
    "arguments of a tool": tuple(
        TrainingExample(messages=[*taught("Who?", "").messages[:1], {"role": "assistant", "tool_calls": [call]}])
        for call in (TOOL_CALL, {**TOOL_CALL, "function": {"name": "find", "arguments": '{"country": "France"}'}})
    ),
    "no words at all": (taught("?", "!"), taught("!", "?")),
}


def near(*examples: TrainingExample, at: float = 0.85) -> dict[int, str]:
    """What is said of near duplicates, by number."""
    dropped = curate(examples, near_duplicates=at).dropped
    return {drop.number: reason.text for drop in dropped for reason in drop.reasons if reason.rule == "near_duplicate"}


@pytest.mark.parametrize("name", ALIKE)
def test_a_small_change_makes_no_other_example(name: str) -> None:
    """The earlier one is kept; the later one says which it resembles, and how much."""
    first, second, similarity = ALIKE[name]

    assert near(first, second) == {2: f"says nearly the same as example 1 (similarity {similarity:.2f})"}
    assert near(second, first) == {2: f"says nearly the same as example 1 (similarity {similarity:.2f})"}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_says_something_else_is_no_near_duplicate(name: str) -> None:
    """Another number, question or passage is another example, however much else is the same."""
    first, second = UNLIKE[name]

    assert near(first, second) == near(second, first) == {}


def test_the_question_that_was_recorded_comes_before_that_of_the_prompt() -> None:
    """A rewritten question in the prompt does not hide that two users asked different things."""
    asked = {"question": "Who led the northern plant in its first year?"}
    first = answered("What of it?", "Ana.", context=PASSAGE).model_copy(update=asked)
    same = answered("What of it?", "Ana, too.", context=PASSAGE).model_copy(update=asked)
    other = same.model_copy(update={"question": "Why did the southern plant close?"})

    assert near(first, other, at=0.6) == {}
    assert list(near(first, same, at=0.6)) == [2]


def test_the_threshold_decides() -> None:
    """At 1 only case and punctuation may differ; None looks for none."""
    first, second, _ = ALIKE["one word in sixty"]
    shouted = taught("Who?", LONG.upper())

    assert [list(near(first, second, at=at)) for at in (0.85, 0.9, 0.95, 1.0)] == [[2], [2], [], []]
    assert list(near(first, shouted, at=1.0)) == [2]
    assert curate([first, second, shouted], near_duplicates=None).dropped == []


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    """A similarity lies above 0 and is at most 1."""
    with pytest.raises(ConfigurationError) as caught:
        curate([], near_duplicates=threshold)

    assert str(caught.value) == (
        f"near_duplicates is {threshold!r}; pass a similarity above 0 and at most 1, or None to look for none"
    )


# -- Which of them is kept


def test_the_earliest_is_kept_and_only_what_is_kept_counts() -> None:
    """The second resembles the first and goes; the third resembles only the second, which is gone, and stays."""
    second = LONG.replace(WORDS[10], "zap")
    chain = [LONG, second, second.replace(WORDS[30], "zup")]
    examples = [taught("Who?", text) for text in chain]

    result = curate(examples, near_duplicates=0.9)

    assert result.kept == [examples[0], examples[2]]
    assert list(near(*examples, at=0.9)) == [2]
    assert list(near(*examples[::-1], at=0.9)) == [2]


@pytest.mark.parametrize("fault", [{"finish_reason": "length"}, {"kind": "judge"}])
def test_a_flawed_example_never_drives_out_a_good_one(fault: dict[str, str]) -> None:
    """Though it came first: it is not trained on, so the good one would be lost."""
    flawed, good = taught("Who?", LONG, **fault), taught("Who?", f"{LONG} too")

    result = curate([flawed, good])
    turned = curate([good, flawed])

    assert result.kept == turned.kept == [good]
    assert len(result.dropped[0].reasons) == 1
    assert turned.dropped[0].reasons[1:] == (
        Reason(rule="near_duplicate", text="says nearly the same as example 1 (similarity 0.98)"),
    )


def test_an_abstention_that_is_not_kept_drives_out_no_answer() -> None:
    """Abstentions are compared with each other, and one of those alike can be kept on purpose."""
    where = "in the letter to the owners of common stock that was sent out with the notice of the meeting last spring"
    declined = [taught(f"Who {where}?", "I don't know.") for where in (where, f"{where} too")]
    good = [taught(f"Who {where}?", "I know."), taught("Since when?", "Since May.")]

    assert curate([*declined, *good]).kept == good
    result = curate([*declined, *good], keep_abstentions=0.5, near_duplicates=0.8)
    assert result.kept == [declined[0], *good]
    assert result.dropped[0].rules == ("abstention", "near_duplicate")


def test_an_exact_copy_is_called_one() -> None:
    """It is no near duplicate on top; where copies are not looked for, it is one of similarity 1."""
    pair = [taught("Who?", LONG), taught("Who?", LONG)]

    assert [drop.rules for drop in curate(pair).dropped] == [("duplicate",)]
    assert [drop.reasons for drop in curate(pair, without=["duplicate"]).dropped] == [
        (Reason(rule="near_duplicate", text="says nearly the same as example 1 (similarity 1.00)"),)
    ]


# -- How many are found

VOCABULARY = [f"{first}{second}{third}" for first in "bdfgklmnprst" for second in "aeiou" for third in "bdfgklmnprst"]


def made(seed: int) -> list[TrainingExample]:
    """120 examples of 100 words; every third is a copy of the one before it with one to nine words changed."""
    source = random.Random(seed)  # no secret
    texts: list[list[str]] = []
    for number in range(120):
        text = source.choices(VOCABULARY, k=100)
        if number % 3 == 2:
            text = list(texts[-1])
            for _ in range(source.randint(1, 9)):
                text[source.randrange(100)] = source.choice(VOCABULARY)
        texts.append(text)
    return [taught("Who?", " ".join(text)) for text in texts]


def similarity(left: TrainingExample, right: TrainingExample) -> float:
    """Jaccard similarity of the word 3-grams of question and answer, by hand."""
    sets = []
    for example in (left, right):
        words = ["who", *example.answer.split()]
        sets.append({tuple(words[place : place + 3]) for place in range(len(words) - 2)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_is_what_comparing_each_with_each_finds(seed: int) -> None:
    """At a similarity of 0.9 nothing is missed here, and nothing is dropped below it."""
    examples = made(seed)

    pairs = [(one, other) for other in range(120) for one in range(other)]
    alike = {other for one, other in pairs if similarity(examples[one], examples[other]) >= 0.9}

    assert len(alike) > 3
    assert {number - 1 for number in near(*examples, at=0.9)} == alike


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    from test_near_duplicates import made, near
    from llama_index_ft_rag.curation import curate
    print(near(*made(1), at=0.8), curate(made(2), keep_abstentions=0.5, seed=3).to_dict())
"""


def test_the_result_does_not_hang_on_the_hash_seed() -> None:
    """Another process, with other hashes of texts, keeps and drops the same."""
    script = textwrap.dedent(SCRIPT.format(tests=str(Path(__file__).parent)))
    said = [
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "12345")
    ]

    assert said[0].startswith(b"{")
    assert said == [said[0]] * 3


MISSING = """
    import sys
    sys.modules["datasketch"] = None  # as if it were not installed
    from llama_index_ft_rag import TrainingExample, curate
    from llama_index_ft_rag.errors import MissingExtraError
    print(len(curate([TrainingExample(messages=[])], near_duplicates=None).dropped))
    print(*curate([]).notices)
    try:
        curate([], near_duplicates=0.9)
    except MissingExtraError as error:
        print(error)
"""


def test_without_datasketch_the_search_says_what_to_install() -> None:
    """Everything else works without it: who asks for nothing is told in a notice, who asks for it by an error."""
    script = textwrap.dedent(MISSING)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert done.stdout.splitlines() == [
        "1", 'near duplicates were not looked for: pip install "llama-index-ft-rag[curation]"',
        'looking for near duplicates needs datasketch: pip install "llama-index-ft-rag[curation]"',
    ]  # fmt: skip


# -- The real ones


@needs_data
def test_no_two_of_the_real_examples_say_nearly_the_same() -> None:
    """In five files of real examples nothing is dropped for it, though the refine steps share question and answer."""
    names = [
        "foundry_gsm8k_chat_validation",
        "foundry_stock_toolcall_training",
        "pirate_training_set",
        "ruby_sarcastic",
    ]
    paths = [EVENTS, *(DATA / "ftjsonl" / f"{name}.jsonl" for name in names)]

    assert [near(*read_examples(path), at=0.7) for path in paths] == [{}] * 5


@needs_data
def test_the_answers_of_two_real_models_to_the_same_questions() -> None:
    """Of 36 questions 11 were answered to the same letter, and seven more nearly so, at a low threshold."""
    both = [taught(*row[:2]) for model in ("base", "tuned") for row in table_rows(model)]
    dropped = curate(both, near_duplicates=0.6).dropped

    assert [drop.number for drop in dropped if "duplicate" in drop.rules] == [
        38, 39, 40, 41, 47, 48, 51, 52, 53, 54, 63,
    ]  # fmt: skip
    assert [drop.number for drop in dropped if "near_duplicate" in drop.rules] == [42, 50, 58, 60, 61, 65, 69]


@needs_data
def test_no_two_of_the_real_questions_are_taken_for_the_same() -> None:
    """160 real questions with one and the same answer: only what is asked word for word in two files goes."""
    names = ["llm-finetuning_train_questions", "llm-finetuning_eval_questions", "train_questions_notebook_run_40",
             "eval_questions_notebook_run_40"]  # fmt: skip
    asked = [line for name in names for line in (DATA / "post" / f"{name}.txt").read_text("utf-8").splitlines() if line]

    result = curate([taught(question, "That is how it is.") for question in asked])

    assert len(asked) == 160
    assert {rule for drop in result.dropped for rule in drop.rules} == {"duplicate"}
    assert len(result.kept) == len({*asked})


STORY = "and so it is said in the books of the house, which tell at length how the works were built and who built them"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C++", "C#"),
        ("a == a", "a != a"),
        ("$5", "€5"),
        ("by 5%", "by 5."),
        ("(9,141) million", "9,141 million"),
        ("\U0001f44d", "\U0001f44e"),
        ("三个", "四个"),
    ],
)
def test_what_only_signs_tell_apart_is_no_copy(one: str, other: str) -> None:
    """A loss is no profit, one language no other, whatever the words around them."""
    examples = [taught("What is it?", f"It is {sign}, {STORY}.") for sign in (one, other)]

    assert curate(examples).kept == examples


def test_other_pictures_or_tools_make_another_example() -> None:
    """The same words beside another image, or with a tool at hand, are no copy."""
    text = {"type": "text", "text": f"What is seen? {STORY}"}
    asked = [[text, {"type": "image_url", "image_url": {"url": f"https://x.test/{name}.png"}}] for name in "ab"]
    seen = [
        TrainingExample(messages=[{"role": "user", "content": content}, {"role": "assistant", "content": STORY}])
        for content in asked
    ]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    examples = [*seen, taught("Who?", STORY), taught("Who?", STORY).model_copy(update={"tools": [tool]})]

    assert curate(examples).kept == examples


def test_a_question_in_the_middle_of_an_unknown_prompt_tells_by_its_numbers() -> None:
    """Where no template is known, all numbers of the prompt count."""
    filler = " ".join(f"word{chr(97 + place % 26)}" for place in range(200))
    examples = [taught(f"{filler} Did revenue rise in {year}? {filler}", "Yes.") for year in (2022, 2023)]

    assert curate(examples).kept == examples
