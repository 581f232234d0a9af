"""How often `is_abstention` agrees with a person who read the real answers of the post.

    python benchmarks/abstention.py           a table
    python benchmarks/abstention.py --show    with the text of every answer on which the two disagree
    python benchmarks/abstention.py --json    one object with the same figures

The answers lie in the folder FT_RAG_TEST_DATA and are not part of this repository; the labels here are their line
and row numbers. An answer is an abstention if, as a whole, it declines. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from llama_index_ft_rag.abstention import is_abstention

TRAINING_FILE = "llm-finetuning_finetuning_events.jsonl"
TABLES = "extracted_ragas_tables.json"
SEEN = "seen: the English patterns were written with it in view"
HELD_OUT = "held out: labelled before any pattern was run on it, and none was changed for its sake"
NOTE = "The answers of the two tables are cut after 200 characters, as their source printed them."


@dataclass(frozen=True, kw_only=True)
class Source:
    """Real answers and what a person said of them."""

    name: str
    kind: str
    """Whether the patterns were written with these answers in view."""
    answers: dict[int, str]
    """By line of the file or number of the row."""
    abstentions: frozenset[int]
    """Those that decline as a whole, as read by a person."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share with its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, trials: int) -> Share | None:
        """Return `None` of no trials."""
        from scipy.stats import binomtest

        if not trials:
            return None
        interval = binomtest(hits, trials).proportion_ci(method="wilson")
        return cls(value=hits / trials, low=float(interval.low), high=float(interval.high))

    def render(self) -> str:
        """Return it as a cell of the table."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was counted in one source, or in all."""

    source: str
    kind: str
    answers: int
    abstentions: int
    true_positives: int
    false_positives: int
    false_negatives: int
    precision: Share | None
    recall: Share | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and return 0 if the two agree on every answer."""
    options = _options(arguments)
    data = os.environ.get("FT_RAG_TEST_DATA")
    if not data:
        print(
            "FT_RAG_TEST_DATA is not set; set it to the folder that holds post/ with the real answers", file=sys.stderr
        )
        return 1
    sources = _sources(Path(data) / "post")
    found = {source.name: {n for n, text in source.answers.items() if is_abstention(text)} for source in sources}
    rows = [_row(source, found[source.name]) for source in sources]
    rows.append(_total(rows))
    apart = [(source, n) for source in sources for n in sorted(found[source.name] ^ source.abstentions)]
    if options.json:
        disagreements = [{"source": source.name, "number": n} for source, n in apart]
        print(json.dumps({"rows": [asdict(row) for row in rows], "disagreements": disagreements}, indent=2))
    else:
        print(_table(rows))
        for source, n in apart:
            print(f"they disagree: {source.name} {n}" + (f": {source.answers[n]}" if options.show else ""))
    return 1 if apart else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--show", action="store_true", help="print the text of each answer on which the two disagree")
    return parser.parse_args(arguments)


def _sources(folder: Path) -> list[Source]:
    lines = (folder / TRAINING_FILE).read_text(encoding="utf-8").split("\n")
    tables = json.loads((folder / TABLES).read_text(encoding="utf-8"))
    return [
        Source(
            name="training file",
            kind=SEEN,
            answers={n: json.loads(line)["messages"][-1]["content"] for n, line in enumerate(lines, start=1) if line},
            abstentions=frozenset([4, 20, 21, *range(28, 35), 43, 44, 45, 46, 53, 54, 55, 56]),
        ),
        Source(name="base answers", kind=HELD_OUT, answers=_answers(tables["23"]), abstentions=frozenset()),
        Source(
            name="tuned answers", kind=HELD_OUT, answers=_answers(tables["47"]), abstentions=frozenset([8, 30, 31, 34])
        ),
    ]


def _answers(table: Sequence[Sequence[str]]) -> dict[int, str]:
    """The first column of a row is its number, the third the answer; the first row holds the names."""
    return {int(row[0]): row[2] for row in table[1:]}


def _row(source: Source, found: set[int]) -> Row:
    return _counted(
        source=source.name,
        kind=source.kind,
        answers=len(source.answers),
        right=len(found & source.abstentions),
        wrong=len(found - source.abstentions),
        missed=len(source.abstentions - found),
    )


def _total(rows: Sequence[Row]) -> Row:
    return _counted(
        source="total",
        kind="",
        answers=sum(row.answers for row in rows),
        right=sum(row.true_positives for row in rows),
        wrong=sum(row.false_positives for row in rows),
        missed=sum(row.false_negatives for row in rows),
    )


def _counted(*, source: str, kind: str, answers: int, right: int, wrong: int, missed: int) -> Row:
    return Row(
        source=source,
        kind=kind,
        answers=answers,
        abstentions=right + missed,
        true_positives=right,
        false_positives=wrong,
        false_negatives=missed,
        precision=Share.of(right, right + wrong),
        recall=Share.of(right, right + missed),
    )


def _table(rows: Sequence[Row]) -> str:
    lines = [f"{'':<14} {'n':>4} {'abstentions':>12} {'TP':>4} {'FP':>4} {'FN':>4}  {'precision':<18} {'recall':<18}"]
    for row in rows:
        precision, recall = ("-" if share is None else share.render() for share in (row.precision, row.recall))
        counts = f"{row.true_positives:>4} {row.false_positives:>4} {row.false_negatives:>4}"
        lines.append(f"{row.source:<14} {row.answers:>4} {row.abstentions:>12} {counts}  {precision:<18} {recall:<18}")
    notes = [f"{row.source}: {row.kind}." for row in rows if row.kind]
    return "\n".join([*(line.rstrip() for line in lines), "", *notes, NOTE])


if __name__ == "__main__":
    sys.exit(main())
