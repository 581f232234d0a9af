"""The question: its text, the node it was asked about, what it is for; and files of questions, read and written.

A file holds one question per line, or one JSON object per line; a line that cannot be used is refused by its number.
Knows nothing of how questions come about.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from llama_index_ft_rag.errors import QuestionError
from llama_index_ft_rag.questions.wording import folded
from llama_index_ft_rag.storage import make_private_folder, write_rows

logger = logging.getLogger(__name__)

Split = Literal["train", "eval"]


class Question(BaseModel):
    """One question, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The first 12 hex digits of the SHA-256 of text and node id."""
    text: str
    node_id: str | None = None
    source: str | None = None
    """What a reader looks up, such as `report.pdf p. 12`."""
    split: Split = "train"

    @classmethod
    def make(
        cls, text: str, *, node_id: str | None = None, source: str | None = None, split: Split = "train"
    ) -> Question:
        """Make a question with its id; white space is evened out."""
        even = " ".join(text.split())
        digest = hashlib.sha256(f"{even}\0{node_id or ''}".encode("utf-8", "surrogatepass")).hexdigest()
        return cls(id=digest[:12], text=even, node_id=node_id, source=source, split=split)


def read_questions(path: str | Path, *, split: Split | None = None) -> list[Question]:
    """Read a file with one question per line, or with one JSON object per line (`question` or `text` in it).

    Args:
        path: The file, UTF-8. Blank lines are passed over, repeated questions dropped with a log line.
        split: What questions that do not say so themselves are for, training by default. Rows that say they
            are for the other split are left out.

    Raises:
        QuestionError: If the file is missing or empty, or a line cannot be used.
    """
    path = Path(path)
    text = _read_file(path)
    as_json = path.suffix.lower() in (".json", ".jsonl", ".ndjson") or text.lstrip().startswith("{")
    found: dict[str, Question] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            question = _read_row(line, split) if as_json else Question.make(_checked(line), split=split or "train")
        except ValueError as exc:
            raise QuestionError(f"{path} line {number}: {exc}; correct or remove this line") from exc
        if found.setdefault(folded(question.text), question) is not question:
            logger.warning("%s line %s repeats an earlier question and was dropped", path, number)
    kept = [question for question in found.values() if split in (None, question.split)]
    if not kept:
        reason = f"all its questions are marked as not for {split}" if found else "holds no question"
        raise QuestionError(f"{path}: {reason}; write one question per line or name another file")
    if len(kept) < len(found):
        logger.info("%s: %s of %s questions are for %s", path, len(kept), len(found), split)
    return kept


def write_questions(path: str | Path, questions: Iterable[Question]) -> None:
    """Write questions as JSONL, one row each, as a whole file."""
    path = Path(path)
    make_private_folder(path.parent)
    write_rows(path, (question.model_dump(mode="json") for question in questions))


def _read_file(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise QuestionError(f"{path}: cannot be read ({exc.strerror}); check the path and its permissions") from exc
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        number = data.count(b"\n", 0, exc.start) + 1
        raise QuestionError(f"{path} line {number}: is not UTF-8 text; save the file as UTF-8") from exc
    # Not splitlines(): U+2028 and its like are part of a question.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_row(line: str, split: Split | None) -> Question:
    try:
        row: Any = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as exc:
        raise ValueError(f"is not JSON ({exc})") from exc
    if not isinstance(row, Mapping):
        raise ValueError('is not a JSON object such as {"question": "..."}')  # noqa: TRY004 - one kind of refusal
    text = row.get("text") or row.get("question")
    node_id, source, own_split = row.get("node_id"), row.get("source"), row.get("split", split or "train")
    if not isinstance(text, str):
        raise ValueError('has no question: write it as {"question": "..."}')  # noqa: TRY004 - as above
    if own_split not in ("train", "eval"):
        raise ValueError(f'its "split" is {str(own_split)[:40]!r} and must be "train" or "eval"')
    if not all(value is None or isinstance(value, str) for value in (node_id, source)):
        raise ValueError('its "node_id" and "source" must be text')
    return Question.make(_checked(text), node_id=node_id, source=source, split=own_split)


def _checked(text: str) -> str:
    if not folded(text):
        raise ValueError("has no word in it")
    if len(text) > 10_000 or "\0" in text:
        raise ValueError(f"is no question ({len(text)} characters, perhaps another kind of file)")
    return text
