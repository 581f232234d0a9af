"""Files and folders in, LlamaIndex documents out: one per PDF page that has text, one per other file.

The metadata are `file_name` and, for PDF, `page_label`. Ids are hashes of content and name, so the same files give
the same ids everywhere. A file that was named must be readable; one that lies in a folder may be skipped, with a
log line. Knows nothing of how a kind of file is read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llama_index.core.schema import Document

from llama_index_ft_rag.documents.html import read_html
from llama_index_ft_rag.documents.pdf import read_pdf
from llama_index_ft_rag.documents.text import Part, digest, read_markdown, read_text
from llama_index_ft_rag.errors import ConfigurationError, DocumentError

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 200 * 1024 * 1024
"""Larger files are refused: they are held in memory while they are read."""

_READERS: dict[str, Callable[[Path, bytes], list[Part]]] = {
    ".pdf": read_pdf,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
}
_KINDS = ", ".join(sorted(_READERS))


@dataclass(frozen=True, kw_only=True)
class _Source:
    path: Path
    name: str
    """What metadata call it: the path below the given folder."""
    named: bool
    """Whether the caller named this very file, rather than a folder it lies in."""


def load_documents(paths: Sequence[str | Path] | str | Path) -> list[Document]:
    """Read files and folders as LlamaIndex documents: one per PDF page that has text, one per other file.

    The extension decides how a file is read: .pdf, .html, .htm, .xhtml, .md, .markdown, .txt. Folders are
    searched recursively in sorted order; hidden files are passed over, and so are, with a log line, other
    extensions and files that cannot be read. Text is UTF-8, or UTF-16/32 with a byte order mark, or (HTML) what
    the page declares; a mostly ASCII file in none of these is read as Windows-1252, a superset of Latin-1, with a
    log line, and any other is refused. A file given twice counts once. Both metadata keys are excluded from
    prompts and embeddings.

    Raises:
        DocumentError: If a named file is missing, empty, too large, encrypted, scanned, binary or not readable,
            or if no file of the named folders can be read.
        MissingExtraError: If pypdfium2 is needed and not installed.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise ConfigurationError("No documents were given: name at least one file or folder to read")
    documents: dict[str, Document] = {}
    refused: list[DocumentError] = []
    for source in _distinct(source for path in given for source in _sources(Path(path))):
        try:
            documents.update((document.id_, document) for document in _read(source))
        except DocumentError as exc:
            if source.named:
                raise
            logger.warning("%s was skipped: it %s", exc.path, exc.reason)
            refused.append(exc)
    if not documents:
        raise _nothing_left(given, refused)
    return list(documents.values())


def _nothing_left(given: Sequence[str | Path], refused: list[DocumentError]) -> DocumentError:
    if len(refused) == 1:
        return refused[0]
    names = ", ".join(str(path) for path in given)
    return DocumentError(
        names, f"none of the {len(refused)} files can be read; the first, {refused[0].path}, {refused[0].reason}"
    )


def _distinct(sources: Iterator[_Source]) -> list[_Source]:
    """Each file once, in the order given; as a named one if it was named anywhere."""
    found: dict[Path, _Source] = {}
    for source in sources:
        where = source.path.resolve()
        if where not in found:
            found[where] = source
        elif source.named:
            found[where] = replace(found[where], named=True)
    return list(found.values())


def _sources(path: Path) -> list[_Source]:
    try:
        path = path.expanduser()
        is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
    except (OSError, ValueError, RuntimeError) as exc:
        raise DocumentError(str(path), f"cannot be opened ({exc}); check the path and its permissions") from exc
    if is_folder:
        return _folder_sources(path)
    if not exists:
        raise DocumentError(str(path), "does not exist; check the path")
    if not is_file or path.suffix.lower() not in _READERS:
        raise DocumentError(str(path), f"cannot be read; name a folder or a file of these kinds: {_KINDS}")
    return [_Source(path=path, name=path.name, named=True)]


def _folder_sources(folder: Path) -> list[_Source]:
    def refuse(error: OSError) -> None:
        reason = f"cannot be listed ({error.strerror}); check its permissions"
        if Path(error.filename) == folder:
            raise DocumentError(str(folder), f"this folder {reason}") from error
        logger.warning("%s was skipped: this folder %s", error.filename, reason)

    found: list[_Source] = []
    # os.walk does not follow links to folders, so a link to a parent cannot make it run for ever.
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if name.startswith((".", "~$")) or not path.is_file():
                continue
            if path.suffix.lower() not in _READERS:
                logger.info("%s was skipped: only %s are read", path, _KINDS)
            else:
                found.append(_Source(path=path, name=path.relative_to(folder).as_posix(), named=False))
    if not found:
        raise DocumentError(str(folder), f"holds no file that can be read; put {_KINDS} files there")
    return sorted(found, key=lambda source: source.name)


def _read(source: _Source) -> Iterator[Document]:
    path = source.path
    parts = _READERS[path.suffix.lower()](path, _content(path))
    if not parts:
        raise DocumentError(str(path), "is empty or has no text; leave it out or choose another file")
    for number, part in enumerate(parts):
        metadata = {"file_name": source.name}
        if part.page_label is not None:
            metadata["page_label"] = part.page_label
        yield Document(
            id_=digest(source.name, str(number), part.page_label or "", part.text),
            text=part.text,
            metadata=metadata,
            excluded_embed_metadata_keys=list(metadata),
            excluded_llm_metadata_keys=list(metadata),
        )


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DocumentError(
                str(path), f"is {size >> 20} MiB, over the limit of {MAX_FILE_BYTES >> 20} MiB; split the file"
            )
        return path.read_bytes()
    except OSError as exc:
        raise DocumentError(str(path), f"cannot be opened ({exc.strerror}); check its permissions") from exc
