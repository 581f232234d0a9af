# ruff: noqa: E501 - lines of a rendered report are as long as they are
from __future__ import annotations

import json
import stat
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from arms import answer, answers, scores

from llama_index_ft_rag.comparison import Comparison, compare
from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.prices import Price
from llama_index_ft_rag.report import JobFacts, LossPoint, Report, RunFacts, write_report
from llama_index_ft_rag.scoring import Statement

NOTICE = (
    "Offline backend: the readers are toys and the judge is rule-based. This run shows that the pipeline works,"
    " not that fine-tuning helps."
)
LOW = [0.2, 0.1, 0.3, 0.2, 0.4, 0.2, 0.3, 0.1]
HIGH = [0.9, 0.8, 0.7, 0.9, 1.0, 0.8, 0.9, 0.0]
ARMS = ("base", "tuned", "teacher")


def comparison(*, offline: bool = False) -> Comparison:
    """Three arms, eight questions, a teacher that nobody could score."""
    prices = {arm: Price(input=n + 1.0, output=n + 1.0, source="list", as_of="2026-11") for n, arm in enumerate(ARMS)}
    return compare(
        {arm: answers(arm, ["It was 5 million.", *["a b c"] * 7], contexts=["Some context"]) for arm in ARMS},
        {"base": scores("base", LOW), "tuned": scores("tuned", HIGH), "teacher": scores("teacher", [None] * 8)},
        prices={} if offline else prices,
        training_usd=None if offline else 2.5,
        offline=offline,
    )


def run(**fields: object) -> RunFacts:
    """Facts of a small run."""
    facts = {
        "title": "Can the student do it?",
        "recorded": 30,
        "kept": 27,
        "dropped": {"duplicate": 3},
        "seed": 7,
        "versions": {"ragas": "0.4.3"},
        "job": JobFacts(
            id="ftjob-1", status="succeeded", epochs=3, loss=[LossPoint(step=1, loss=2.0), LossPoint(step=9, loss=0.5)]
        ),
        **fields,
    }
    return RunFacts(**facts)  # type: ignore[arg-type]


class Page(HTMLParser):
    """Counts elements and collects what a page may do."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data


def test_terminal_report() -> None:
    """Verdict, three numbers, tables, money, training and provenance in 80 plain columns."""
    text = Report(comparison(), run()).render()

    assert text == TERMINAL
    assert max(len(line) for line in text.splitlines()) <= 80


def test_terminal_report_in_color() -> None:
    """Color is asked for by the caller, and adds escape sequences only."""
    colored = Report(None, run()).render(color=True)

    assert "\x1b[1mCan the student do it?\x1b[0m" in colored
    assert "\x1b" not in Report(None, run()).render()


def test_a_narrow_terminal_is_not_overrun() -> None:
    """Words are broken only where there is no other way, and no line is longer than asked for."""
    text = Report(comparison(), run()).render(width=40)

    assert max(len(line) for line in text.splitlines()) <= 40


def test_markdown_report() -> None:
    """The same content as GitHub-flavoured markdown."""
    assert Report(comparison(), run()).to_markdown() == MARKDOWN


@pytest.mark.parametrize("form", ["render", "to_markdown", "to_html"])
def test_offline_is_said_before_any_number(form: str) -> None:
    """Every form says in its first lines what the readers and the judge are, and labels their rows and columns."""
    text = getattr(Report(comparison(offline=True), run(backend="offline")), form)()
    words = " ".join(Page(text).words.split()) if form == "to_html" else " ".join(text.split())

    assert words.index("the readers are toys") < words.index("Offline toy run:")
    assert words.index("Offline toy run:") < words.index("base (BM25")
    assert words.count("rule-based") > 2
    assert "nothing is charged" in words


def test_offline_is_said_in_json() -> None:
    """A program sees the notice too, and that the numbers come from toys."""
    found = Report(comparison(offline=True), run(backend="offline")).to_dict()

    assert (found["schema_version"], found["notices"], found["comparison"]["offline"]) == (1, [NOTICE], True)


def test_an_offline_gain_is_no_green_headline() -> None:
    """What toys achieve is announced as theirs, without the color of success."""
    better = compare(
        {
            "base": answers("base", ["x"] * 8),
            "tuned": answers("tuned", ["a b"] * 8),
            "teacher": answers("teacher", ["a b"] * 8),
        },
        {},
        offline=True,
    )
    page = Report(better, run(backend="offline")).to_html()

    assert '<p class="outcome">Toy readers: better</p>' in page


def test_html_stands_alone() -> None:
    """No script, no address of another file, and a policy that would not let any in."""
    page = Page(Report(comparison(), run()).to_html())

    assert not {"script", "link", "img", "iframe", "a"} & set(page.tags)
    assert not {"src", "href", "onclick", "onerror", "onload"} & set(page.attributes)
    assert (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        in page.attributes["content"]
    )


def test_html_shows_what_the_judge_found() -> None:
    """Statements carry their verdict in words, and a question its number, flags and contexts."""
    judged = scores("tuned", [0.5])[0].model_copy(
        update={
            "statements": [
                Statement(text="It grew.", supported=True),
                Statement(text="By half.", supported=False, reason="Not in the context."),
            ]
        }
    )
    shown = compare(
        {"base": answers("base", ["x"]), "tuned": [answer("tuned", 0, "y", contexts=[f"c{n}" for n in range(13)])]},
        {"base": scores("base", [0.9]), "tuned": [judged]},
        sources={"q0": "report.pdf p. 3"},
    )
    words = " ".join(Page(Report(shown).to_html()).words.split())

    assert "Supported: It grew. Not supported: By half.Not in the context." in words
    assert "1Question 0?−0.400worse than base: tunedanswers differ: base, tuned From report.pdf p. 3" in words
    assert "13 retrieved contexts" in words
    assert "1 more are in report.json." in words


HOSTILE = (
    "<script>alert(1)</script> \"onerror=x' </style></title>{{ 7 * 7 }} \u202edesrever \x1b[31m \ud800 [bold]b[/bold]"
)


def test_hostile_text_stays_text_in_html() -> None:
    """Whatever documents, models, judges and file names say, the page has the elements it has without them."""
    harmless = Page(hostile_report("words").to_html())
    page = Page(hostile_report(HOSTILE).to_html())

    assert page.tags == harmless.tags
    assert page.attributes.keys() == harmless.attributes.keys()
    assert "<script>alert(1)</script>" in page.words
    assert "{{ 7 * 7 }}" in page.words
    hostile_report(HOSTILE).to_html().encode("utf-8")


def test_direction_marks_end_where_the_text_ends() -> None:
    """Text from elsewhere stands in an element that isolates its direction."""
    page = hostile_report("\u202edesrever").to_html()

    assert page.count("\u202e") > page.count("<bdi>\u202edesrever</bdi>") > 10
    assert all(
        "<bdi>" in line or "aria-label=" in line or "<title>" in line for line in page.splitlines() if "\u202e" in line
    )


@pytest.mark.parametrize("form", ["render", "to_markdown"])
def test_hostile_text_stays_text_elsewhere(form: str) -> None:
    """No escape sequence reaches a terminal, no tag or mark a pull request."""
    text = getattr(hostile_report(HOSTILE), form)()

    assert not {"\x1b", "\u202e", "\ud800"} & set(text)
    assert ("<script>" in text) == (form == "render")


def hostile_report(text: str) -> Report:
    """A report in which everything that can come from elsewhere is this text."""
    given = {
        arm: [answer(arm, 0, text, question=text, contexts=[text, text]), answer(arm, 1, None, error=text)]
        for arm in ARMS
    }
    bad = scores("tuned", [0.1, None])
    bad[0] = bad[0].model_copy(update={"statements": [Statement(text=text, supported=False, reason=text)]})
    bad[1] = bad[1].model_copy(update={"invalid_reason": text})
    compared = compare(given, {"base": scores("base", [0.9, 0.9]), "tuned": bad}, sources={"q0": text})
    facts = RunFacts(
        title=text, documents=[text], models={text: text}, command=text, dropped={text: 1}, versions={text: text}
    )
    return Report(compared, facts)


def test_many_long_questions_stay_small() -> None:
    """500 questions with twelve long contexts each make a page below 10 MB, and the cuts say how much is missing."""
    long = answers("base", ["word " * 100] * 500, contexts=["context " * 2000] * 12)
    page = Report(compare({"base": long}, {})).to_html()

    assert len(page.encode()) < 10_000_000
    assert "characters more)" in page


def test_a_run_without_evaluation_has_a_report() -> None:
    """It says that nothing was compared, and what was trained."""
    report = Report(None, run())

    assert report.render().splitlines()[2:4] == [
        "Not evaluated: this run trained a model and compared nothing, so it does not say",
        "whether it helped.",
    ]
    assert report.to_dict()["comparison"] is None
    assert "Not evaluated" in Page(report.to_html()).words


def test_unknown_prices_are_named() -> None:
    """A model without a price is named, and so is a training that never pays for itself."""
    prices = {
        arm: Price(input=usd, output=usd, source="s", as_of="d") for arm, usd in (("tuned", 5.0), ("teacher", 1.0))
    }
    compared = compare(
        {arm: answers(arm, ["a"], model=f"{arm}-model") for arm in ARMS}, {}, prices=prices, training_usd=1.0
    )
    text = " ".join(Report(compared, RunFacts(money_notes=["Billed by the batch."])).to_markdown().split())

    assert (
        "- Against teacher it never pays for itself: a question costs no less. - No price known for base-model." in text
    )
    assert "- Billed by the batch." in text
    assert "no price known" in text


def test_loss_curve_is_described() -> None:
    """The curve is drawn, and its picture has words; one point is no curve."""
    curve = [LossPoint(step=step, loss=2.0 / step) for step in range(1, 1001)]
    drawn = Report(None, RunFacts(job=JobFacts(loss=curve))).to_html()
    single = Report(None, RunFacts(job=JobFacts(loss=curve[:1]))).to_html()

    assert 'aria-label="Training loss per step, 1 to 1,000: ' in drawn
    assert drawn.count("<polyline") == 1
    assert "<polyline" not in single


def test_a_notebook_gets_a_frame_of_its_own() -> None:
    """The page's style and the notebook's do not meet, and nothing in it may run."""
    frame = Page(Report(comparison(), run())._repr_html_())

    assert frame.tags == ["iframe"]
    assert frame.attributes["sandbox"] == [""]
    assert frame.attributes["srcdoc"] == [Report(comparison(), run()).to_html()]


@pytest.mark.parametrize(("form", "package"), [("render", "rich"), ("to_html", "jinja2")])
def test_a_missing_package_is_named(form: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says which package is missing and what to install."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtraError, match=rf"needs {package}: pip install \"llama-index-ft-rag\[cli\]\""):
        getattr(Report(None), form)()


def test_write_report(tmp_path: Path) -> None:
    """Three files with the same content, readable by their owner only."""
    report = Report(comparison(), run())
    paths = write_report(report, tmp_path / "run")

    assert paths == {ending: tmp_path / "run" / f"report.{ending}" for ending in ("json", "md", "html")}
    assert json.loads(paths["json"].read_text(encoding="utf-8"))["verdict"] == report.to_dict()["verdict"]
    assert paths["md"].read_text(encoding="utf-8") == report.to_markdown()
    assert paths["html"].read_text(encoding="utf-8") == report.to_html()
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths.values()} == {0o600}


def test_a_report_with_a_broken_model_reply_can_be_written(tmp_path: Path) -> None:
    """Lone surrogates, as broken model output has them, do not stop the files from being written."""
    paths = write_report(hostile_report(HOSTILE), tmp_path)

    assert json.loads(paths["json"].read_text(encoding="utf-8"))["comparison"]["rows"][0]["question"].startswith(
        "<script>"
    )


TERMINAL = """\
Can the student do it?

On 8 questions, tuned is better than base in faithfulness (+0.525, 95 % interval
+0.298 to +0.752); 1,000 questions cost $0.22 with tuned and $0.33 with teacher,
33% less; warning: 8 questions to evaluate on, fewer than 20, cannot settle it.

+0.525        faithfulness, tuned minus base (95 % interval +0.298 to +0.752, n
              = 8)
7 : 1         questions better : worse in faithfulness (0 the same)
−33%          cost, tuned against teacher ($0.22 instead of $0.33 per 1,000
              questions)

Arms
                           agreement with                  tokens per    USD per
arm      faithfulness             teacher  abstained         question      1,000
────────────────────────────────────────────────────────────────────────────────
base            0.225               1.000          0              110      $0.11
                n = 8               n = 8       of 8   100 in, 10 out
tuned           0.750               1.000          0              110      $0.22
                n = 8               n = 8       of 8   100 in, 10 out
teacher             –                   –          0              110      $0.33
                                                of 8   100 in, 10 out
Mean score, and how many of the 8 questions it is the mean of. What could not be
scored is left out, never counted as 0. A refusal is scored like any other
answer, which mostly means 0; the column says how many there are. Prices are for
1,000 questions.

tuned against base
                                      95 %       p  better : worse
metric            n  difference   interval  (Holm)          : same       verdict
────────────────────────────────────────────────────────────────────────────────
faithfulness      8      +0.525  +0.298 to    .016       7 : 1 : 0        better
                                    +0.752
agreement with    8       0.000   0.000 to   1.000       0 : 0 : 8            no
teacher                              0.000                            difference
                                                                           shown
A difference counts as shown where the interval leaves out 0 and p is below .05.

tuned against teacher
                                     95 %        p     better : worse :
metric        n  difference      interval   (Holm)                 same  verdict
────────────────────────────────────────────────────────────────────────────────
faithfulness  0           –             –        –            0 : 0 : 0  too few
A difference counts as shown where the interval leaves out 0 and p is below .05.

teacher against base
                                     95 %        p     better : worse :
metric        n  difference      interval   (Holm)                 same  verdict
────────────────────────────────────────────────────────────────────────────────
faithfulness  0           –             –        –            0 : 0 : 0  too few
A difference counts as shown where the interval leaves out 0 and p is below .05.

Agreement with the teacher
                all          where the teacher         refused where the teacher
arm       questions                   answered                           refused
────────────────────────────────────────────────────────────────────────────────
base          1.000                      1.000                            0 of 0
              n = 8                      n = 8
tuned         1.000                      1.000                            0 of 0
              n = 8                      n = 8
Token F1 with the teacher's answer: agreement, not correctness. Refusing what
the teacher answered counts 0, and so does the reverse.

Could not be scored
arm            metric                         reason  questions
───────────────────────────────────────────────────────────────
teacher  faithfulness  the judge's reply was cut off          8

Questions that lost most in faithfulness
question      base  tuned
─────────────────────────
Question 7?  0.100  0.000

Training examples
                    examples
────────────────────────────
recorded                  30
kept                      27
dropped: duplicate         3

Money
Training cost $2.50.
Against teacher it has paid for itself after 22,728 questions.
Price source: list, as of 2026-11.

Training
job                       ftjob-1
status                    succeeded
recorded examples         30
examples trained on       27
epochs                    3
training cost             $2.50
loss                      2.000 at first, 0.500 at the end (means of 1)

Provenance
backend                   openai
judge settings (hash)     j1
seed                      7
versions                  ragas 0.4.3
statistics                paired t interval, 95 %; sign-flip permutation p,
                          Holm-adjusted over the metrics; only questions scored
                          in both arms
"""

MARKDOWN = """\
# Can the student do it?

**On 8 questions, tuned is better than base in faithfulness (+0.525, 95 % interval +0.298 to +0.752); 1,000 questions cost &#36;0.22 with tuned and &#36;0.33 with teacher, 33% less; warning: 8 questions to evaluate on, fewer than 20, cannot settle it.**

- **+0.525** faithfulness, tuned minus base (95 % interval +0.298 to +0.752, n = 8)
- **7 : 1** questions better : worse in faithfulness (0 the same)
- **−33%** cost, tuned against teacher (&#36;0.22 instead of &#36;0.33 per 1,000 questions)

## Arms

| arm | faithfulness | agreement with teacher | abstained | tokens per question | USD per 1,000 |
|---|---:|---:|---:|---:|---:|
| base | 0.225 (n = 8) | 1.000 (n = 8) | 0 (of 8) | 110 (100 in, 10 out) | &#36;0.11 |
| tuned | 0.750 (n = 8) | 1.000 (n = 8) | 0 (of 8) | 110 (100 in, 10 out) | &#36;0.22 |
| teacher | – | – | 0 (of 8) | 110 (100 in, 10 out) | &#36;0.33 |

Mean score, and how many of the 8 questions it is the mean of. What could not be scored is left out, never counted as 0. A refusal is scored like any other answer, which mostly means 0; the column says how many there are. Prices are for 1,000 questions.

## tuned against base

| metric | n | difference | 95 % interval | p (Holm) | better : worse : same | verdict |
|---|---:|---:|---:|---:|---:|---:|
| faithfulness | 8 | +0.525 | +0.298 to +0.752 | .016 | 7 : 1 : 0 | better |
| agreement with teacher | 8 | 0.000 | 0.000 to 0.000 | 1.000 | 0 : 0 : 8 | no difference shown |

A difference counts as shown where the interval leaves out 0 and p is below .05.

## tuned against teacher

| metric | n | difference | 95 % interval | p (Holm) | better : worse : same | verdict |
|---|---:|---:|---:|---:|---:|---:|
| faithfulness | 0 | – | – | – | 0 : 0 : 0 | too few |

A difference counts as shown where the interval leaves out 0 and p is below .05.

## teacher against base

| metric | n | difference | 95 % interval | p (Holm) | better : worse : same | verdict |
|---|---:|---:|---:|---:|---:|---:|
| faithfulness | 0 | – | – | – | 0 : 0 : 0 | too few |

A difference counts as shown where the interval leaves out 0 and p is below .05.

## Agreement with the teacher

| arm | all questions | where the teacher answered | refused where the teacher refused |
|---|---:|---:|---:|
| base | 1.000 (n = 8) | 1.000 (n = 8) | 0 of 0 |
| tuned | 1.000 (n = 8) | 1.000 (n = 8) | 0 of 0 |

Token F1 with the teacher's answer: agreement, not correctness. Refusing what the teacher answered counts 0, and so does the reverse.

## Could not be scored

| arm | metric | reason | questions |
|---|---:|---:|---:|
| teacher | faithfulness | the judge's reply was cut off | 8 |

## Questions that lost most in faithfulness

| question | base | tuned |
|---|---:|---:|
| Question 7? | 0.100 | 0.000 |

## Training examples

|  | examples |
|---|---:|
| recorded | 30 |
| kept | 27 |
| dropped: duplicate | 3 |

## Money

- Training cost &#36;2.50.
- Against teacher it has paid for itself after 22,728 questions.
- Price source: list, as of 2026-11.

## Training

- job: ftjob-1
- status: succeeded
- recorded examples: 30
- examples trained on: 27
- epochs: 3
- training cost: &#36;2.50
- loss: 2.000 at first, 0.500 at the end (means of 1)

## Provenance

- backend: openai
- judge settings (hash): j1
- seed: 7
- versions: ragas 0.4.3
- statistics: paired t interval, 95 %; sign-flip permutation p, Holm-adjusted over the metrics; only questions scored in both arms
"""
