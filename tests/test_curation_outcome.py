"""What a user reads of a curation: as text, as markdown and as JSON, whatever documents and models wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from curated import DECLINED, taught

from llama_index_ft_rag.curation import RULES, Curation, Dropped, Reason, UnreadableLine, curate
from llama_index_ft_rag.examples import TrainingExample

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
ABSTENTION = Reason(rule="abstention", text="declines to answer")


def drop(number: int, *reasons: Reason, question: str = "Who?", answer: Any = DECLINED) -> Dropped:
    """An example that was left out."""
    return Dropped(example=taught(question, answer), number=number, reasons=reasons)


RESULT = Curation(
    kept=[taught("Where?", "In the north."), taught("When?", "In May.")],
    kept_numbers=[1, 4],
    dropped=[
        drop(2, ABSTENTION),
        drop(3, ABSTENTION, Reason(rule="duplicate", text="says the same as example 2")),
        Dropped(
            example=TrainingExample(
                messages=[{"role": "user", "content": "Find it."}, {"role": "assistant", "tool_calls": [CALL]}]
            ),
            number=6,
            reasons=(Reason(rule="too_odd", text="is too odd"),),
        ),
    ],
    unreadable=[
        UnreadableLine(number=5, text='{"prompt": "Who?"}', reason=Reason(rule="unreadable", text="is no chat example"))
    ],
    kept_abstentions=1,
    notices=("few contexts: the examples kept are about 2 distinct contexts; with fewer than 50 the student may err",),
)

TEXT = """\
6 lines: 2 kept (1 abstentions among them, on purpose), 4 dropped

rule        dropped    alone  means
unreadable        1        1  the line is no chat example
abstention        2        1  the answer as a whole declines to answer
duplicate         1        0  an earlier example has the same messages and tools
too_odd           1        1  a rule of your own
alone: no other rule refused them
note: few contexts: the examples kept are about 2 distinct contexts; with fewer
  than 50 the student may err

Kept, 2 of them, the middle of long texts left out

-- 1
[user]
  Where?
[assistant]
  In the north.

-- 4
[user]
  When?
[assistant]
  In May.

Dropped, 4 of them, the middle of long texts left out

-- 2: abstention: declines to answer
[user]
  Who?
[assistant]
  The context does not provide information on this.

-- 3: abstention: declines to answer; duplicate: says the same as example 2
[user]
  Who?
[assistant]
  The context does not provide information on this.

-- 5: unreadable: is no chat example
[line]
  {"prompt": "Who?"}

-- 6: too_odd: is too odd
[user]
  Find it.
[assistant]
  {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]}
"""

MARKDOWN = """\
# 6 lines: 2 kept (1 abstentions among them, on purpose), 4 dropped

| rule | dropped | alone | means |
|---|---:|---:|---|
| unreadable | 1 | 1 | the line is no chat example |
| abstention | 2 | 1 | the answer as a whole declines to answer |
| duplicate | 1 | 0 | an earlier example has the same messages and tools |
| too&#95;odd | 1 | 1 | a rule of your own |

alone: no other rule refused them

> few contexts: the examples kept are about 2 distinct contexts; with fewer than 50 the student may err

## Kept, 1 of them as they are

### 1

**user**

    Where?

**assistant**

    In the north.

## Dropped, 1 of them as they are

### 5: unreadable: is no chat example

**line**

    {"prompt": "Who?"}
"""


def test_as_text_it_says_what_was_dropped_and_why() -> None:
    """A headline, the table, the notices, and examples as they are, with all their reasons."""
    assert RESULT.render() == TEXT


def test_as_markdown_it_says_the_same() -> None:
    """For a pull request, with as many examples as are wanted."""
    assert RESULT.to_markdown(shown=1) == MARKDOWN


def test_as_json_it_says_the_same() -> None:
    """Totals, the table, and the examples as lines of a training file."""
    said = json.loads(json.dumps(RESULT.to_dict(shown=1)))

    assert said == {
        "total": 6,
        "kept": 2,
        "dropped": 4,
        "kept_abstentions": 1,
        "rules": [
            {"rule": "unreadable", "dropped": 1, "alone": 1, "means": RULES["unreadable"]},
            {"rule": "abstention", "dropped": 2, "alone": 1, "means": RULES["abstention"]},
            {"rule": "duplicate", "dropped": 1, "alone": 0, "means": RULES["duplicate"]},
            {"rule": "too_odd", "dropped": 1, "alone": 1, "means": "a rule of your own"},
        ],
        "notices": list(RESULT.notices),
        "shown": {
            "kept": [{"number": 1, "reasons": [], "messages": taught("Where?", "In the north.").messages}],
            "dropped": [{"number": 5, "reasons": ["unreadable: is no chat example"], "line": '{"prompt": "Who?"}'}],
        },
    }


def test_the_counts_and_the_table_agree() -> None:
    """A drop with two reasons is in both rows and alone in none; lines that are no examples count."""
    assert RESULT.counts() == {
        "kept": 2, "dropped": 4, "unreadable": 1, "abstention": 2, "duplicate": 1, "too_odd": 1,
    }  # fmt: skip
    assert [(row.rule, row.dropped, row.alone) for row in RESULT.table()] == [
        ("unreadable", 1, 1), ("abstention", 2, 1), ("duplicate", 1, 0), ("too_odd", 1, 1),
    ]  # fmt: skip
    assert RESULT.total == 6
    assert [one.rules for one in RESULT.dropped] == [("abstention",), ("abstention", "duplicate"), ("too_odd",)]


def test_where_nothing_was_dropped_that_is_said() -> None:
    """Instead of an empty table."""
    result = curate([taught("Where?", "In the north.")])

    assert result.render(shown=0) == "1 examples: 1 kept, 0 dropped\n\nnothing was dropped\n"
    assert result.to_markdown(shown=0) == "# 1 examples: 1 kept, 0 dropped\n\nNothing was dropped.\n"
    assert curate([]).render() == "0 examples: 0 kept, 0 dropped\n\nnothing was dropped\n"


def test_long_lines_of_the_table_are_folded() -> None:
    """It stays 80 columns wide, and thousands are parted."""
    result = curate([taught("a", "word " * 60)] * 1_200, near_duplicates=None, max_tokens=50, without=["duplicate"])

    assert result.render(shown=0) == (
        "1,200 examples: 0 kept, 1,200 dropped\n\n"
        "rule      dropped    alone  means\n"
        "too_long    1,200    1,200  more tokens than the student takes; its end, the\n"
        "                            answer, would be cut off\n"
        "alone: no other rule refused them\n"
    )


# -- Which are shown


def shown(result: Curation, most: int) -> list[int]:
    """Numbers of the examples that stand in the text, in order."""
    return [int(line.split()[1].rstrip(":")) for line in result.render(shown=most).splitlines() if line[:3] == "-- "]


@pytest.mark.parametrize(
    ("most", "numbers"), [(0, []), (1, [1]), (2, [1, 10]), (5, [1, 3, 5, 7, 10]), (20, [*range(1, 11)])]
)
def test_those_kept_are_shown_from_all_over(most: int, numbers: list[int]) -> None:
    """Not the first few, which may all be about one page."""
    assert shown(curate([taught("a", f"It is {number}.") for number in range(10)]), most) == numbers


def test_of_those_dropped_the_rarest_rules_are_shown() -> None:
    """One of each rule comes before a second of any, however many a common rule refused."""
    common = [drop(number, ABSTENTION) for number in range(1, 9)]
    rare = [drop(9, Reason(rule="cut_off", text="was")), drop(10, Reason(rule="too_odd", text="is"))]
    result = Curation(kept=[], dropped=[*common, *rare])
    with_line = Curation(kept=[], dropped=result.dropped, unreadable=[
        UnreadableLine(number=11, text="?", reason=Reason(rule="unreadable", text="is not JSON"))])  # fmt: skip

    assert [shown(result, most) for most in (1, 2, 3, 5)] == [[9], [9, 10], [1, 9, 10], [1, 2, 3, 9, 10]]
    assert [shown(with_line, most) for most in (1, 2, 3)] == [[11], [9, 11], [9, 10, 11]]


def test_a_long_message_is_cut_in_its_middle_on_a_terminal_only() -> None:
    """Both ends are what a reader needs; markdown has it whole."""
    text = "".join(f"{number:04}." for number in range(200))
    result = Curation(kept=[taught("a", text)], kept_numbers=[1], dropped=[])

    assert result.render().splitlines()[-3:] == [f"  {text[:200]}", "  [… 600 characters …]", f"  {text[-200:]}"]
    assert result.to_markdown().splitlines()[-1] == f"    {text}"


# -- Hostile text

HOSTILE = "\x1b[2J\x1b]0;title\x07\x00 a\rb\r\nc\x9b1m \ud800"


def test_no_escape_sequence_reaches_a_terminal() -> None:
    """Neither from a question, an answer, a role, a reason, nor the name of a rule; line ends stay."""
    bad = Dropped(
        example=TrainingExample(messages=[{"role": HOSTILE, "content": HOSTILE}, {"role": None, "name": HOSTILE}]),
        number=1,
        reasons=(Reason(rule=HOSTILE, text=HOSTILE),),
    )
    line = UnreadableLine(number=2, text=HOSTILE, reason=Reason(rule="unreadable", text=HOSTILE))

    text = Curation(kept=[], dropped=[bad], unreadable=[line]).render()

    one_line = "\ufffd[2J\ufffd]0;title\ufffd\ufffd a b c\ufffd1m \ufffd"
    lines = ["  \ufffd[2J\ufffd]0;title\ufffd\ufffd a", "  b", "  c\ufffd1m \ufffd"]
    assert text.splitlines()[2:] == [
        f"{'rule':<{len(one_line)}}  dropped    alone  means",
        f"{'unreadable':<{len(one_line)}}        1        1  the line is no chat example",
        f"{one_line}        1        1  a rule of your own",
        "alone: no other rule refused them",
        "",
        "Dropped, 2 of them, the middle of long texts left out",
        "",
        f"-- 1: {one_line}: {one_line}",
        f"[{one_line}]",
        *lines,
        "[None]",
        f"  {json.dumps({'name': HOSTILE}, ensure_ascii=False)}".replace("\ud800", "\ufffd").replace("\x9b", "\ufffd"),
        "",
        f"-- 2: unreadable: {one_line}",
        "[line]",
        *lines,
    ]


def test_nothing_in_markdown_leaves_its_place() -> None:
    """A picture, a mention, a heading or the end of a code block in an example is shown, not done."""
    text = "![x](http://evil.example/a.png)\n```\n# Heading\n</pre><script>alert(1)</script>\n@team"
    reason = Reason(rule="<b>mine</b>", text="![x](http://evil.example) | # @team")
    result = Curation(kept=[], dropped=[drop(1, reason, question=text, answer="- a\n\n# b")])

    assert result.to_markdown() == (
        "# 1 examples: 0 kept, 1 dropped\n\n"
        "| rule | dropped | alone | means |\n|---|---:|---:|---|\n"
        "| &#60;b&#62;mine&#60;/b&#62; | 1 | 1 | a rule of your own |\n\nalone: no other rule refused them\n\n"
        "## Dropped, 1 of them as they are\n\n"
        "### 1: &#60;b&#62;mine&#60;/b&#62;: !&#91;x&#93;(http://<!-- -->evil.example) &#124; #<!-- --> "
        "@<!-- -->team\n\n"
        "**user**\n\n"
        "    ![x](http://evil.example/a.png)\n    ```\n    # Heading\n    </pre><script>alert(1)</script>\n"
        "    @team\n\n"
        "**assistant**\n\n"
        "    - a\n    \n    # b\n"
    )


@pytest.mark.parametrize("role", ["- a", "1. a", "> a", "# a", "a\n===", "***", "", "`", "<b>"])
def test_a_role_in_markdown_is_only_a_word(role: str) -> None:
    """Whatever stands there, it begins no list, in which the message below would be no code any more."""
    example = TrainingExample(messages=[{"role": role, "content": "![x](http://evil.example/a.png)"}])

    lines = curate([example]).to_markdown().splitlines()

    assert lines[-1] == "    ![x](http://evil.example/a.png)"
    assert lines[-3].startswith("**")
    assert lines[-3].endswith("**")
    assert "*" not in lines[-3][2:-2]
    assert [lines[-4], lines[-2]] == ["", ""]
