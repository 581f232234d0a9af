"""examples.jsonl -> every problem with its line, the number of tokens, and the price of training on it.

In: the path of any training file, ours or another's. Out: `FileReport`. The file is read line by line. Knows no
network and sends nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.errors import ExamplesError
from llama_index_ft_rag.example_tokens import count_example_tokens
from llama_index_ft_rag.prices import Price, default_epochs, training_cost_usd, tuned_price
from llama_index_ft_rag.training_format import CheckedLine, Problem, Severity, TrainingFormat, check_line

__all__ = ["MINIMUM_EXAMPLES", "FileReport", "Problem", "validate_file"]

MINIMUM_EXAMPLES = 10
"""OpenAI refuses a file with fewer (fine-tuning guide, 2026-05)."""
_UPLOAD_LIMIT = 512 * 1_000_000
"""Bytes that OpenAI and Azure take through /files (guides of 2024 to 2026)."""
_SHOWN_PER_CODE = 5
_SHOWN_RANGES = 8


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What is in a training file, what is wrong with it and what training on it would cost."""

    path: Path
    model: str | None
    examples: int
    """Lines that are not blank, be they right or wrong."""
    format: TrainingFormat
    tokens: int
    """In one pass over the file."""
    tokens_exact: bool
    """False: an estimate. The job's own `trained_tokens` is the truth afterwards."""
    longest_example_tokens: int
    epochs: int
    """Those asked for, or those a service would probably choose."""
    training_cost_usd: float | None
    """All epochs together; `None` where no price is known."""
    price: Price | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether the file may be uploaded; warnings do not count."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which the file is refused."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems worth reading that do not stop an upload."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    def raise_for_errors(self) -> None:
        """Raise one error that lists all errors of the file; do nothing if there are none.

        Raises:
            ExamplesError: If the file must not be uploaded.
        """
        if self.errors:
            listed = "\n".join(_render_problems(self.errors))
            raise ExamplesError(
                f"{self.path} cannot be used for training, {_plural(len(self.errors), 'error')}:\n{listed}"
            )

    def render(self) -> str:
        """Readable text, at most 80 columns wide where words allow it."""
        verdict = "ready for training" if self.ok else "NOT ready for training"
        counts = f"{_plural(len(self.errors), 'error')}, {_plural(len(self.warnings), 'warning')}"
        lines = [f"{self.path}: {verdict} ({counts})"]
        lines += [f"  {name:<16} {value}" for name, value in self._figures()]
        for title, problems in (("errors", self.errors), ("warnings", self.warnings)):
            if problems:
                lines += [title, *_render_problems(problems)]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Everything in the report as JSON-able values."""
        return {**asdict(self), "path": str(self.path), "problems": [asdict(p) for p in self.problems], "ok": self.ok}

    def _figures(self) -> Iterator[tuple[str, str]]:
        about = "" if self.tokens_exact else "about "
        yield "examples", f"{self.examples:,} ({self.format} format)"
        yield "tokens", f"{about}{self.tokens:,}; the longest example has {about}{self.longest_example_tokens:,}"
        yield "epochs", f"{self.epochs}"
        if self.training_cost_usd is None or self.price is None:
            yield "training cost", f"not known: {self._why_no_cost()}"
            return
        yield "training cost", f"{about}${self.training_cost_usd:,.2f} for all epochs"
        yield "price", f"${self.price.training:,.2f} per 1M tokens ({self.price.source}, as of {self.price.as_of})"

    def _why_no_cost(self) -> str:
        if not self.tokens:
            return "no example could be read"
        return f"no price for {self.model}" if self.model else "no model was named"


def validate_file(
    path: str | Path,
    *,
    model: str | None = None,
    minimum: int = MINIMUM_EXAMPLES,
    n_epochs: int | None = None,
    expected: TrainingFormat | None = None,
) -> FileReport:
    """Find every problem of a training file, count its tokens and price the training.

    Args:
        path: A JSONL file in the chat or the preference format.
        model: The base model to be trained; without it no length limit and no price are known.
        minimum: Fewest examples the service takes.
        n_epochs: Epochs that will be asked for.
        expected: The format the job's method needs; any recognised one is accepted without it.

    Raises:
        ExamplesError: If the file cannot be read at all. Problems inside it are reported, not raised.
    """
    source = Path(path)
    tally = _Tally(model=model or "")
    try:
        with source.open("rb") as stream:
            tally.read(stream)
            size = stream.tell()
    except OSError as exc:
        raise ExamplesError(f"{source}: cannot be read ({exc.strerror}); pass the path of a JSONL file") from exc
    tally.finish(minimum=minimum, expected=expected, size=size)
    epochs = n_epochs if n_epochs is not None else default_epochs(tally.examples)
    price = tuned_price(model) if model else None
    return FileReport(
        path=source,
        model=model,
        examples=tally.examples,
        format=tally.format,
        tokens=tally.tokens,
        tokens_exact=tally.exact,
        longest_example_tokens=tally.longest,
        epochs=epochs,
        training_cost_usd=training_cost_usd(tally.tokens, epochs=epochs, price=price) if tally.tokens else None,
        price=price,
        problems=tuple(tally.problems),
    )


@dataclass
class _Tally:
    """What was counted and found so far in one file."""

    model: str
    examples: int = 0
    tokens: int = 0
    exact: bool = True
    longest: int = 0
    format: TrainingFormat = "unknown"
    problems: list[Problem] = field(default_factory=list)
    first_seen: dict[bytes, int] = field(default_factory=dict)

    def read(self, stream: Iterable[bytes]) -> None:
        for number, raw in enumerate(stream, start=1):
            line = raw
            if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                self._note(None, "not_utf8", "is UTF-16; save it as UTF-8")
                self.examples = 0
                return
            if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
                line = raw[3:]
                self._note(1, "byte_order_mark", "begins with a byte order mark; save it without", "warning")
            if line.strip():
                self._add(number, check_line(line.strip(), number=number))
            else:
                self._note(number, "blank_line", "is blank; some services refuse blank lines", "warning")

    def finish(self, *, minimum: int, expected: TrainingFormat | None, size: int) -> None:
        if not self.examples and not any(problem.code == "not_utf8" for problem in self.problems):
            self._note(None, "empty_file", "has no examples; collect some before training")
        elif 0 < self.examples < minimum:
            self._note(None, "too_few", f"has {_plural(self.examples, 'example')}; at least {minimum} are needed")
        if size > _UPLOAD_LIMIT:
            self._note(None, "too_large", f"has {size / 1e6:,.0f} MB; at most {_UPLOAD_LIMIT / 1e6:,.0f} are taken")
        if expected not in (None, "unknown", self.format) and self.format != "unknown":
            self._note(None, "wrong_format", f"is in the {self.format} format; this job needs the {expected} format")

    def _add(self, number: int, line: CheckedLine) -> None:
        self.examples += 1
        self.problems += line.problems
        first = self.first_seen.setdefault(line.fingerprint, number)
        if first != number:
            self._note(number, "duplicate", f"says the same as line {first}", "warning")
        if line.example is None:
            return
        if self.format == "unknown":
            self.format = line.format
        elif self.format != line.format:
            self._note(number, "mixed_formats", f"is in the {line.format} format, lines above in {self.format}")
        count = count_example_tokens(line.example, model=self.model)
        self.tokens += count.tokens
        self.exact = self.exact and count.exact
        self.longest = max(self.longest, count.tokens)
        limit = model_facts(self.model).max_example_tokens
        if limit is not None and count.tokens > limit:
            self._note(
                number,
                "too_long",
                f"has {count.tokens:,} tokens and {self.model} takes {limit:,}: its end, the answer, is cut off",
                "warning",
            )

    def _note(self, line: int | None, code: str, message: str, severity: Severity = "error") -> None:
        self.problems.append(Problem(line=line, code=code, message=message, severity=severity))


def _render_problems(problems: Iterable[Problem]) -> list[str]:
    """One entry per code and message with the lines it is about; a code with many messages is cut short."""
    grouped: dict[str, dict[str, list[int]]] = {}
    for problem in problems:
        lines = grouped.setdefault(problem.code, {}).setdefault(problem.message, [])
        if problem.line is not None:
            lines.append(problem.line)
    rendered = []
    for code, messages in grouped.items():
        for message, lines in list(messages.items())[:_SHOWN_PER_CODE]:
            entry = f"  {_where(lines)}: {message} [{code}]"
            rendered.append(textwrap.fill(entry, 80, subsequent_indent="    ", break_long_words=False))
        rest = [line for lines in list(messages.values())[_SHOWN_PER_CODE:] for line in lines]
        if rest:
            rendered.append(f"  and {len(rest):,} more of the kind [{code}]")
    return rendered


def _where(lines: list[int]) -> str:
    if not lines:
        return "the file"
    ranges: list[list[int]] = []
    for line in sorted(set(lines)):
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_SHOWN_RANGES])
    more = ", ..." if len(ranges) > _SHOWN_RANGES else ""
    return f"{'line' if len(set(lines)) == 1 else 'lines'} {shown}{more}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
