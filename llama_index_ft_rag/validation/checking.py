"""One pass over a training file, and one over its validation file -> `FileReport`.

In: paths. Out: a report. This thread reads and checks; others count. Of a line, its number of tokens and eight bytes of
what it says are kept.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from llama_index_ft_rag.catalog import ModelFacts, model_facts
from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.example_tokens import example_parts
from llama_index_ft_rag.prices import PriceList, default_epochs, training_cost_usd
from llama_index_ft_rag.tokenizer import TokenCount
from llama_index_ft_rag.training_format import TrainingFormat, check_line
from llama_index_ft_rag.validation.counting import ExampleOfLine, count_examples, usable_cores
from llama_index_ft_rag.validation.findings import MOST_KEPT, FoundProblems
from llama_index_ft_rag.validation.lines import MOST_LINE_BYTES, bounded_lines
from llama_index_ft_rag.validation.rendering import plural
from llama_index_ft_rag.validation.repeats import Fingerprints, Repeats
from llama_index_ft_rag.validation.report import FileReport, Purpose

MINIMUM_EXAMPLES = 10
"""OpenAI refuses a file with fewer (fine-tuning guide, 2026-05)."""
_START = 50
"""OpenAI's guide (2026-05) recommends to begin with so many, and saw improvements with 50 to 100."""
_PLENTY = 1_000
_UPLOAD_LIMIT = 512 * 1_000_000
"""Bytes that OpenAI and Azure take through /files (guides of 2024 to 2026)."""
_LIMITS = "at most 512 MB are taken as a file, and 8 GB in parts (OpenAI's Uploads API)"


def validate_file(
    path: str | Path,
    *,
    model: str | None = None,
    minimum: int = MINIMUM_EXAMPLES,
    n_epochs: int | None = None,
    expected: TrainingFormat | None = None,
    validation: str | Path | None = None,
    prices: PriceList | None = None,
    threads: int | None = None,
) -> FileReport:
    """Find every problem of a training file, count its tokens and price the training.

    Args:
        path: A JSONL file in the chat or the preference format.
        model: The base model to be trained; without it no length limit and no price are known.
        minimum: Fewest examples the service takes.
        n_epochs: Epochs that will be asked for.
        expected: The format the job's method needs; any recognised one is accepted without it.
        validation: The validation file of the same job, which must share no example with the training file.
        prices: Instead of the built-in list, which is OpenAI's.
        threads: Threads that count tokens; as many as the process has cores by default.

    Raises:
        ExamplesError: If a file cannot be read at all. Problems inside it are reported, not raised.
        ConfigurationError: If there is not at least one thread.
    """
    workers = usable_cores() if threads is None else threads
    source, other = Path(path), Path(validation) if validation is not None else None
    # Both are opened first: that the second is missing should not be said after minutes.
    with _open(source) as stream, _open(other) if other is not None else nullcontext() as other_stream:
        training = _read(source, stream, model=model, threads=workers)
        training.finish(minimum=minimum, expected=expected)
        training.advise(minimum=minimum)
        listed = prices or PriceList.builtin()
        report = training.report(n_epochs=n_epochs, prices=listed)
        if other is None or other_stream is None:
            return report
        held_out = _read(other, other_stream, model=model, threads=workers)
    held_out.finish(minimum=1, expected=training.format if expected is None else expected)
    held_out.refuse_shared(training)
    return replace(report, validation=held_out.report(n_epochs=report.epochs, prices=listed, purpose="validation"))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as exc:  # ValueError: a path with a null in it
        raise _unreadable(path, exc) from exc


def _read(path: Path, stream: BinaryIO, *, model: str | None, threads: int) -> _Pass:
    tally = _Pass(path=path, model=model, facts=model_facts(model or ""))
    try:
        tally.read(stream, threads=threads)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return tally


def _unreadable(path: Path, exc: OSError | ValueError) -> ExamplesError:
    return ExamplesError(
        f"{path}: cannot be read ({getattr(exc, 'strerror', None) or exc}); pass the path of a JSONL file"
    )


@dataclass
class _Pass:
    """What was counted and found so far in one file."""

    path: Path
    model: str | None
    facts: ModelFacts
    size: int = 0
    examples: int = 0
    images: int = 0
    tokens: int = 0
    exact: bool = True
    longest: int = 0
    longest_line: int | None = None
    format: TrainingFormat = "unknown"
    is_text: bool = True
    found: FoundProblems = field(default_factory=FoundProblems)
    said: Fingerprints = field(default_factory=Fingerprints)
    per_line: array[int] = field(default_factory=lambda: array("I"))

    def read(self, stream: BinaryIO, *, threads: int) -> None:
        examples = self._examples(stream)
        with closing(count_examples(examples, encoding=self.facts.encoding, threads=threads)) as counts:
            for counted in counts:
                self._add_count(counted.line, counted.count)
        if stream.seekable():  # not so a pipe, of which a line that is too long counts with what was read of it
            self.size = stream.tell()

    def finish(self, *, minimum: int, expected: TrainingFormat | None) -> None:
        found = self.found
        if not self.examples and self.is_text:
            found.add(None, "empty_file", "has no examples; collect some before training")
        elif 0 < self.examples < minimum:
            found.add(None, "too_few", f"has {plural(self.examples, 'example')}; at least {minimum} are needed")
        if self.size > _UPLOAD_LIMIT:
            found.add(None, "too_large", f"has {math.ceil(self.size / 1e6):,} MB; {_LIMITS}")
        if expected not in (None, "unknown", self.format) and self.format != "unknown":
            found.add(None, "wrong_format", f"is in the {self.format} format; this job needs the {expected} format")
        self._add_repeats(self.said.repeats(most=MOST_KEPT), "duplicate")

    def advise(self, *, minimum: int) -> None:
        if self.format == "unknown":
            return
        if minimum <= self.examples < _START:
            self.found.add(
                None,
                "few_examples",
                f"has {plural(self.examples, 'example')}; OpenAI's guide recommends to begin with {_START}, "
                "and saw improvements with 50 to 100",
                "note",
            )
        elif _START <= self.examples < _PLENTY:
            self.found.add(
                None,
                "under_1000",
                f"has {self.examples:,} examples, enough for a first job; if the tuned model is not good enough, "
                f"collect more good ones first, up to about {_PLENTY:,}",
                "note",
            )

    def refuse_shared(self, training: _Pass) -> None:
        self._add_repeats(self.said.shared_with(training.said, most=MOST_KEPT), "in_training")

    def report(self, *, n_epochs: int | None, prices: PriceList, purpose: Purpose = "training") -> FileReport:
        epochs = n_epochs if n_epochs is not None else default_epochs(self.examples)
        price = prices.tuned(self.model) if self.model and purpose == "training" else None
        exact = self.exact and self.facts.exact_encoding
        return FileReport(
            path=self.path,
            purpose=purpose,
            model=self.model,
            size_bytes=self.size,
            examples=self.examples,
            format=self.format,
            images=self.images,
            tokens=self.tokens,
            tokens_exact=exact,
            estimate_because=None if exact or not self.tokens else self._why_estimated(),
            example_tokens=self.per_line,
            longest_example_tokens=self.longest,
            longest_example_line=self.longest_line,
            epochs=epochs,
            training_cost_usd=training_cost_usd(self.tokens, epochs=epochs, price=price) if self.tokens else None,
            price=price,
            problems=self.found.kept(),
            problem_counts=self.found.counts(),
        )

    def _examples(self, stream: BinaryIO) -> Iterator[ExampleOfLine]:
        for number, raw in enumerate(bounded_lines(stream), start=1):
            if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                self.found.add(None, "not_utf8", "is UTF-16; save it as UTF-8")
                self.is_text = False
                return
            self.per_line.append(0)
            self.size += len(raw)
            line = raw
            if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                line = raw[3:]
                self.found.add(1, "byte_order_mark", "begins with a byte order mark; save it without", "warning")
            yield from self._example(number, line.strip(b" \t\r\n"), is_long=len(raw) > MOST_LINE_BYTES)

    def _example(self, number: int, line: bytes, *, is_long: bool) -> Iterator[ExampleOfLine]:
        if is_long or not line:
            self.said.add(None)
            if is_long:
                self.examples += 1
                most = f"{MOST_LINE_BYTES / 1e6:.0f} MB"
                self.found.add(
                    number, "line_too_long", f"is longer than {most} and was not read; one line holds one example"
                )
            else:
                self.found.add(number, "blank_line", "is blank; some services refuse blank lines", "warning")
            return
        self.examples += 1
        checked = check_line(line, number=number)
        self.said.add(checked.fingerprint)
        self.images += checked.images
        for problem in checked.problems:
            self.found.take(problem)
        if checked.example is not None:
            self._see_format(number, checked.format)
            yield ExampleOfLine(line=number, parts=example_parts(checked.example))

    def _see_format(self, number: int, form: TrainingFormat) -> None:
        if self.format == "unknown":
            self.format = form
        elif self.format != form:
            self.found.add(number, "mixed_formats", f"is in the {form} format, lines above in {self.format}")

    def _add_count(self, number: int, count: TokenCount) -> None:
        self.per_line[number - 1] = count.tokens
        self.tokens += count.tokens
        self.exact = self.exact and count.exact
        if count.tokens > self.longest:
            self.longest, self.longest_line = count.tokens, number
        limit = self.facts.max_example_tokens
        if limit is not None and count.tokens > limit:
            self.found.add(
                number,
                "too_long",
                f"has {count.tokens:,} tokens and {self.model} takes {limit:,}: its end, the answer, is cut off",
                "warning",
            )

    def _add_repeats(self, repeats: Repeats, code: str) -> None:
        for repeat in repeats.first:
            if code == "duplicate":
                self.found.add(repeat.line, code, f"says the same as line {repeat.first}", "warning")
            else:
                message = f"stands in line {repeat.first} of the training file too; the two must share no example"
                self.found.add(repeat.line, code, message)
        rest = repeats.count - len(repeats.first)
        self.found.count_more(code, rest, "warning" if code == "duplicate" else "error")

    def _why_estimated(self) -> str:
        if self.model is None:
            return "no model was named"
        if not self.facts.exact_encoding:
            return f"no source names the tokenizer of {self.model}"
        if self.images:
            return "images are not counted"
        return "no tokenizer's table on this machine, or a text too long to count in one piece"
