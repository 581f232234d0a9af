"""PDF in, one part per page that has text out, with the page's label.

Knows nothing of layout: text comes in the order in which PDFium gives it. Encrypted, scanned and broken files are
refused, a damaged page loses only itself.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from llama_index_ft_rag.documents.text import Part, clean, short_rules
from llama_index_ft_rag.errors import DocumentError, MissingExtraError

logger = logging.getLogger(__name__)


def read_pdf(path: Path, data: bytes) -> list[Part]:
    """Read the pages that have text; none of an empty file.

    Raises:
        DocumentError: If the file is encrypted, scanned or no PDF.
        MissingExtraError: If pypdfium2 is not installed.
    """
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


def _read_page(path: Path, pdf: Any, index: int, page_error: type[Exception]) -> Part | None:
    try:
        raw = pdf[index].get_textpage().get_text_bounded()
        label = pdf.get_page_label(index)
    except page_error as exc:
        logger.warning("%s: page %s is damaged and was skipped (%s)", path, index + 1, exc)
        return None
    # PDFium joins the halves of a word that a hyphen parts at the end of a line and leaves U+0002 or U+FFFE
    # there; nearly always the hyphen belongs to the word ("write-off"), so it is put back.
    text = clean(short_rules(re.sub("[\x02\ufffe]", "-", raw)))
    label = clean(label or "")[:40] or str(index + 1)
    return Part(text=text, page_label=label) if text else None
