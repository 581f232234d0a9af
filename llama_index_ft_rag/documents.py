"""Documents in, LlamaIndex `Document`s and nodes out.

In: files and folders (PDF, HTML, markdown, text). Out: clean text, one `Document` per PDF page or per other
file, with the metadata `file_name` and, for PDF, `page_label`; then nodes. Ids are hashes of content and
name, so the same files give the same ids everywhere. What a reader would not see (markup, scripts, hidden
elements, comments, inline XBRL headers) does not get through. Knows nothing of questions or models.
"""

from __future__ import annotations

import codecs
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, Document, MetadataMode

from llama_index_ft_rag.errors import ConfigurationError, DocumentError, MissingExtraError

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 200 * 1024 * 1024
"""Larger files are refused: they are held in memory while they are read."""

_HIDDEN_TAG = re.compile(
    "title|script|style|noscript|template|svg|iframe|object|embed|audio|video|canvas|datalist|ix:header|ix:hidden"
)
_BLOCK_TAG = re.compile(
    "address|article|aside|blockquote|body|caption|center|details|dialog|div|dl|fieldset|figcaption|figure|footer|"
    "form|h[1-6]|header|main|nav|ol|p|pre|section|summary|table|ul"
)
_LINE_TAG = re.compile("br|dd|dt|hr|li|tr")
_HIDING_STYLE = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:font-size|opacity)\s*:\s*0+(?:\.0*)?"
    r"(?:px|pt|em|rem|%)?\s*(?:!|;|$))",
    re.IGNORECASE,
)
# Stand for a line break and the start of a table cell; the input's own control characters are gone by then.
_BREAK, _CELL = "\x1e", "\x1f"
_OPENS_A_FIGURE = re.compile(r"[(\[]?\s*(?:US|HK|C|A|NT)?[$€£¥₹]\s*[(\[]?|[(\[]|RMB")
_CLOSES_A_FIGURE = re.compile(r"[)\]]?\s*%?\s*[)\]]?|pts\.?")

_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_PLAIN_LETTERS = str.maketrans(
    {"\xa0": " ", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_RULE = re.compile(r"([_=*.·–—-])\1{9,}")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?=[\w-]+[ \t]*:).*?^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_CHARSET = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_SENTENCE = re.compile(
    r".+?(?:[。！？；]+[”’」』）)]*\s*|[.!?…]{1,9}[\"'”’)\]]{0,3}\s+(?=[^\sa-z])|\n\s*\n\s*|\Z)",
    re.DOTALL,
)
_LONG_SENTENCE = 1_000


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The text of one page, or of a whole file that has no pages."""

    text: str
    page_label: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Source:
    path: Path
    name: str
    """What metadata and messages about content call it: the path below the given folder."""
    named: bool
    """Whether the caller named this very file, rather than a folder it lies in."""


def load_documents(paths: Sequence[str | Path] | str | Path) -> list[Document]:
    """Read files and folders as LlamaIndex documents: one per PDF page that has text, one per other file.

    The extension decides how a file is read: .pdf, .html, .htm, .xhtml, .md, .markdown, .txt. Folders are
    searched recursively in sorted order; hidden files are passed over, other extensions and files without
    text too, with a log line. Text is UTF-8, or UTF-16/32 with a byte order mark, or (HTML) what the page
    declares; a mostly ASCII file in none of these is read as Windows-1252, a superset of Latin-1, with a log
    line, and any other is refused. What a style sheet hides is not known here, what an attribute or an
    inline style hides is. A file given twice counts once. Both metadata keys are excluded from prompts and embeddings.

    Raises:
        DocumentError: If a file is missing, empty, too large, encrypted, scanned, binary or not readable.
        MissingExtraError: If pypdfium2 or beautifulsoup4 is needed and not installed.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise ConfigurationError("No documents were given: name at least one file or folder to read")
    documents: dict[str, Document] = {}
    seen: set[Path] = set()
    for source in (source for path in given for source in _sources(Path(path))):
        where = source.path.resolve()
        if where not in seen:
            documents.update((document.id_, document) for document in _read(source))
        seen.add(where)
    if not documents:
        names = ", ".join(str(path) for path in given)
        raise DocumentError(names, "nothing in there has any text; name files or folders that do")
    return list(documents.values())


def split_documents(
    documents: Sequence[Document], *, chunk_size: int = 1024, chunk_overlap: int = 20
) -> list[BaseNode]:
    """Split documents into nodes with LlamaIndex's `SentenceSplitter`; sizes are in tokens.

    Node ids are hashes of the document's content, the sizes and the position. Sentence ends are found here,
    Chinese ones included, instead of by NLTK, whose data files cannot be read in some installations; the
    tokenizer's table comes with LlamaIndex. Nothing is fetched.

    Raises:
        ConfigurationError: If the sizes do not fit each other or the documents' metadata.
        DocumentError: If no document has any text.
    """
    if chunk_size < 32 or not 0 <= chunk_overlap < chunk_size:
        raise ConfigurationError(
            f"chunk_size={chunk_size} and chunk_overlap={chunk_overlap} do not fit: give a chunk_size of at "
            "least 32 and a chunk_overlap from 0 to less than that"
        )
    filled = [document for document in documents if document.get_content(MetadataMode.NONE).strip()]
    if not filled:
        raise DocumentError("documents", "none of them has any text to split; check what was loaded")
    keys = _content_keys(filled)

    def node_id(position: int, document: BaseNode) -> str:
        return _digest(keys[document.node_id], str(chunk_size), str(chunk_overlap), str(position))

    splitter = SentenceSplitter(
        chunk_size=chunk_size,
        chunk_overlap=chunk_overlap,
        chunking_tokenizer_fn=_sentences,
        id_func=node_id,
    )
    try:
        return splitter.get_nodes_from_documents(filled)
    except ValueError as exc:
        raise ConfigurationError(f"chunk_size={chunk_size} is too small for these documents: {exc}") from exc


def _content_keys(documents: Sequence[Document]) -> dict[str, str]:
    """A key per document that depends on content only; equal documents are told apart by a count."""
    counts: Counter[str] = Counter()
    keys = {}
    for document in documents:
        content = document.hash
        keys[document.node_id] = f"{content}-{counts[content]}"
        counts[content] += 1
    return keys


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()[:32]


def _sentences(text: str) -> list[str]:
    """Cut text into sentences that add up to it; a long one, such as a table, is cut into its lines."""
    pieces: list[str] = []
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        pieces += sentence.splitlines(keepends=True) if len(sentence) > _LONG_SENTENCE else [sentence]
    return pieces


def _sources(path: Path) -> list[_Source]:
    kinds = ", ".join(sorted(_READERS))
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
        raise DocumentError(str(path), f"cannot be read; name a folder or a file of these kinds: {kinds}")
    return [_Source(path=path, name=path.name, named=True)]


def _folder_sources(folder: Path) -> list[_Source]:
    found: list[_Source] = []
    # os.walk does not follow links to folders, so a link to a parent cannot make it run for ever.
    for place, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if name.startswith((".", "~$")) or not path.is_file():
                continue
            if path.suffix.lower() not in _READERS:
                logger.info("%s was skipped: only %s are read", path, ", ".join(sorted(_READERS)))
            else:
                found.append(_Source(path=path, name=path.relative_to(folder).as_posix(), named=False))
    if not found:
        raise DocumentError(
            str(folder), f"holds no file that can be read; put {', '.join(sorted(_READERS))} files there"
        )
    return sorted(found, key=lambda source: source.name)


def _refuse_folder(error: OSError) -> None:
    raise DocumentError(
        str(error.filename), f"this folder cannot be listed ({error.strerror}); check its permissions"
    ) from error


def _read(source: _Source) -> Iterator[Document]:
    path = source.path
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DocumentError(
                str(path),
                f"is {size >> 20} MiB, over the limit of {MAX_FILE_BYTES >> 20} MiB; split the file",
            )
        data = path.read_bytes()
    except OSError as exc:
        raise DocumentError(str(path), f"cannot be opened ({exc.strerror}); check its permissions") from exc
    parts = _READERS[path.suffix.lower()](path, data)
    if not parts:
        if source.named:
            raise DocumentError(str(path), "is empty or has no text; leave it out or choose another file")
        logger.warning("%s was skipped: it is empty or has no text", path)
    for number, part in enumerate(parts):
        metadata = {"file_name": source.name}
        if part.page_label is not None:
            metadata["page_label"] = part.page_label
        yield Document(
            id_=_digest(source.name, str(number), part.page_label or "", part.text),
            text=part.text,
            metadata=metadata,
            excluded_embed_metadata_keys=list(metadata),
            excluded_llm_metadata_keys=list(metadata),
        )


def _read_text(path: Path, data: bytes) -> list[_Part]:
    return _whole(_clean(_decode(path, data)))


def _read_markdown(path: Path, data: bytes) -> list[_Part]:
    text = _decode(path, data).replace("\r\n", "\n")
    return _whole(_clean(_COMMENT.sub("", _FRONT_MATTER.sub("", text, count=1))))


def _read_html(path: Path, data: bytes) -> list[_Part]:
    markup = _INVISIBLE.sub("", _decode(path, data, declared=_CHARSET.search(data[:4096])))
    text = re.sub(r"[^\S\x1e\x1f]+", " ", "".join(_visible(_parse_html(markup))))
    return _whole(_clean(_RULE.sub(r"\1\1\1", "\n".join(map(_line, text.split(_BREAK))))))


def _read_pdf(path: Path, data: bytes) -> list[_Part]:
    try:
        import pypdfium2
    except ImportError as exc:
        raise MissingExtraError("Reading PDF files", extra="cli", missing="pypdfium2") from exc
    if not data:
        return []
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower():
            reason = "is encrypted and needs a password; save it without one and try again"
        else:
            reason = f"is not a PDF that can be read ({exc}); open it in a viewer and save it again"
        raise DocumentError(str(path), reason) from exc
    try:
        pages = len(pdf)
        parts = [part for index in range(pages) if (part := _read_page(path, pdf, index, pypdfium2.PdfiumError))]
    finally:
        pdf.close()
    if not parts:
        raise DocumentError(
            str(path), f"has no text on any of its {pages} pages, it may be scanned; run OCR on it first"
        )
    return parts


def _read_page(path: Path, pdf: Any, index: int, page_error: type[Exception]) -> _Part | None:
    try:
        raw = pdf[index].get_textpage().get_text_bounded()
        label = pdf.get_page_label(index)
    except page_error as exc:
        logger.warning("%s: page %s is damaged and was skipped (%s)", path, index + 1, exc)
        return None
    # PDFium joins the halves of a word that a hyphen parts at the end of a line and leaves U+0002 or U+FFFE
    # there; nearly always the hyphen belongs to the word ("write-off"), so it is put back.
    text = _clean(_RULE.sub(r"\1\1\1", re.sub("[\x02\ufffe]", "-", raw)))
    label = _clean(label or "")[:40] or str(index + 1)
    return _Part(text=text, page_label=label) if text else None


_READERS: dict[str, Callable[[Path, bytes], list[_Part]]] = {
    ".pdf": _read_pdf,
    ".html": _read_html,
    ".htm": _read_html,
    ".xhtml": _read_html,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".txt": _read_text,
}


def _whole(text: str) -> list[_Part]:
    return [_Part(text=text)] if text else []


def _clean(text: str) -> str:
    """Drop what cannot be seen, trailing blanks and piles of empty lines; spell out typographic ligatures."""
    text = re.sub(r"\r\n?|[\f\v\u2028\u2029]", "\n", text)
    text = _INVISIBLE.sub("", text).translate(_PLAIN_LETTERS)
    text = re.sub(r"[^\S\n]{100,}", " ", text)  # tokenizers choke on very long runs
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _decode(path: Path, data: bytes, *, declared: re.Match[bytes] | None = None) -> str:
    text = _decode_marked(data)
    if text is None and declared is not None:
        text = _try_decode(data, declared.group(1).decode("ascii"))
    # Eight-bit text that is not mostly ASCII may be in any code page: a guess would give the models garbage.
    if text is None and sum(byte > 0x7F for byte in data[:100_000]) * 10 < len(data[:100_000]):
        text = _try_decode(data, "cp1252")
        logger.warning("%s is not UTF-8 and is read as Windows-1252; save it as UTF-8 if it looks wrong", path)
    if text is None or "\0" in text or len(_CONTROL.findall(text)) * 20 > len(text):
        raise DocumentError(str(path), "is binary or in an unknown encoding; save it as UTF-8 text")
    return text


def _decode_marked(data: bytes) -> str | None:
    marks = (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8-sig")
    return _try_decode(data, encoding)


def _try_decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def _parse_html(markup: str) -> Any:
    try:
        import bs4
    except ImportError as exc:
        raise MissingExtraError("Reading HTML files", extra="cli", missing="beautifulsoup4") from exc
    # The standard library's parser, whatever else is installed: the same page gives the same text anywhere.
    # A leading tag keeps Beautiful Soup from taking short text for a file name and warning about it; the parser
    # shows a comment that is never closed as text.
    tail = "<!---->" if markup.rfind("<!--") > markup.rfind("-->") else ""
    return bs4.BeautifulSoup("<div>" + re.sub(r"\A\s*<\?xml.*?\?>", "", markup) + tail, "html.parser")


def _visible(root: Any) -> Iterator[str]:
    """Yield what a reader sees, with markers; a loop, not recursion, as pages may nest without limit."""
    from bs4 import CData, NavigableString, Tag

    opened: list[tuple[Any, Iterator[Any]]] = [(root, iter(root.children))]
    holders = [""]  # the innermost of table, td, th decides whether a block breaks the line
    while opened:
        tag, children = opened[-1]
        child = next(children, None)
        if child is None:
            opened.pop()
            if tag.name == holders[-1]:
                holders.pop()
            yield _edge(tag.name, holders[-1], opening=False)
        elif isinstance(child, Tag):
            if not _is_hidden(child):
                yield _edge(child.name, holders[-1], opening=True)
                if child.name in ("table", "td", "th"):
                    holders.append(child.name)
                opened.append((child, iter(child.children)))
        elif type(child) in (NavigableString, CData):
            yield str(child).replace("\n", _BREAK) if tag.name == "pre" else str(child)


def _edge(name: str, holder: str, *, opening: bool) -> str:
    if name in ("td", "th"):
        return _CELL if opening else " "
    if not _BLOCK_TAG.fullmatch(name) and not (opening and _LINE_TAG.fullmatch(name)):
        return ""
    # Inside a cell a block is a piece of the row's line; a row or table always starts a line of its own.
    ends_line = holder not in ("td", "th") or name in ("table", "tr")
    return (_BREAK if ends_line else " ") + ("- " if name == "li" else "")


def _is_hidden(tag: Any) -> bool:
    attributes = tag.attrs
    return (
        _HIDDEN_TAG.fullmatch(tag.name) is not None
        or "hidden" in attributes
        or str(attributes.get("aria-hidden", "")).strip().lower() == "true"
        or _HIDING_STYLE.search(re.sub(r"/\*.*?\*/", "", str(attributes.get("style", "")))) is not None
    )


def _line(piece: str) -> str:
    """One line of text; of a table row its cells with bars between, `$` and `%` joined to their figure."""
    if _CELL not in piece:
        return piece.strip()
    cells: list[str] = []
    prefix = ""
    for cell in filter(None, (cell.strip() for cell in piece.split(_CELL))):
        if _OPENS_A_FIGURE.fullmatch(cell):
            prefix += cell
        elif cells and not prefix and _CLOSES_A_FIGURE.fullmatch(cell):
            cells[-1] += cell
        else:
            cells.append(prefix + cell)
            prefix = ""
    return " | ".join([*cells, prefix] if prefix else cells)
