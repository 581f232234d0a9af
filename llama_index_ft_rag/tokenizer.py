"""Text -> number of tokens, without ever touching the network.

In: a text and the name of an encoding. Out: `TokenCount`. The table of an encoding is taken from a cache that
lies on this machine, llama-index-core's own at least; without one the count is estimated from the number of
characters. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

logger = logging.getLogger(__name__)

_CACHE_VARIABLES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
_TABLES = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""Encodings we count with, and the SHA-256 of their tables: tiktoken downloads again what does not match."""

# A run of a million blanks overflows the stack inside tiktoken 0.14 and ends in a panic; 400,000 are fine.
_PIECE = 100_000
_REPEATED = 1000
"""Texts up to this length are remembered: a file says them again and again."""
# Before a single blank that a letter follows, both encodings always begin a new token: a cut there is exact.
_SAFE_CUT = re.compile(r"(?<=\S) (?=[A-Za-z])")
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """A number of tokens, and whether it is more than an estimate."""

    tokens: int
    exact: bool

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(tokens=self.tokens + other.tokens, exact=self.exact and other.exact)


def count_encoded(text: str, *, encoding: str) -> TokenCount:
    """Count the tokens of a text; special tokens in it count as the plain text they are.

    Without a table on this machine the count is a quarter of the characters, which is too many for English.
    """
    return count_all_encoded((text,), encoding=encoding)


def count_all_encoded(texts: Iterable[str], *, encoding: str) -> TokenCount:
    """Count the tokens of several texts together; other threads run while the longer ones are counted."""
    encoder = _encoder(encoding)
    if encoder is None:
        return TokenCount(tokens=sum(math.ceil(len(text) / 4) for text in texts), exact=False)
    tokens, exact = 0, True
    for text in texts:
        if len(text) <= _REPEATED:
            tokens += _count_short(text, encoding)
        elif len(text) <= _PIECE:
            tokens += len(encoder.encode_ordinary(text))
        else:
            count = _count_in_pieces(text, encoder)
            tokens += count.tokens
            exact = exact and count.exact
    return TokenCount(tokens=tokens, exact=exact)


@lru_cache(maxsize=1024)
def _count_short(text: str, encoding: str) -> int:
    """Count what comes again in every example: roles, names, system prompts."""
    encoder = _encoder(encoding)
    return len(encoder.encode_ordinary(text)) if encoder is not None else 0


def _count_in_pieces(text: str, encoder: tiktoken.Encoding) -> TokenCount:
    exact = True
    tokens = start = 0
    while start < len(text):
        end, safe = _next_cut(text, start)
        tokens += len(encoder.encode_ordinary(text[start:end]))
        exact = exact and safe
        start = end
    return TokenCount(tokens=tokens, exact=exact)


def _next_cut(text: str, start: int) -> tuple[int, bool]:
    """Where the piece that begins at `start` ends, and whether cutting there leaves the count exact."""
    end = start + _PIECE
    if end >= len(text):
        return len(text), True
    window = max(start + 1, end - 2000)
    cuts = [match.start() for match in _SAFE_CUT.finditer(text, window, end)]
    return (cuts[-1], True) if cuts else (end, False)


@lru_cache(maxsize=8)
def _encoder(name: str) -> tiktoken.Encoding | None:
    with _lock:
        # Here, because what only looks a model up, as the offline backend does, needs no tokenizer.
        import tiktoken
        from tiktoken.registry import ENCODINGS

        if name in ENCODINGS:
            return tiktoken.get_encoding(name)
        folder = _folder_with_table(name)
        if folder is None:
            logger.warning("No table of the encoding %s on this machine: tokens are estimated", name)
            return None
        with _cache_folder(folder):
            return tiktoken.get_encoding(name)


def _folder_with_table(name: str) -> Path | None:
    expected = _TABLES.get(name)
    if expected is None:
        return None
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    key = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()  # tiktoken's name of the cached file
    for folder in _cache_folders():
        try:
            data = (folder / key).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == expected:
            return folder
    return None


def _cache_folders() -> Iterator[Path]:
    yield from (Path(os.environ[name]) for name in _CACHE_VARIABLES if os.environ.get(name))
    yield Path(tempfile.gettempdir()) / "data-gym-cache"
    core = find_spec("llama_index.core")
    for place in (core.submodule_search_locations or ()) if core else ():
        yield Path(place) / "_static" / "tiktoken_cache"


@contextmanager
def _cache_folder(folder: Path) -> Iterator[None]:
    """Point tiktoken at a folder, then put the environment back as it was."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
