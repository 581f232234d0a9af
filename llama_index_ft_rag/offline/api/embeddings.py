"""The embeddings endpoint.

In: a text, texts, or token ids. Out: vectors as lists of numbers or as base64 of little-endian 32-bit floats.
Token ids are embedded as the words that stand for them, near other token ids alone.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index_ft_rag.offline.api.fields import choice_of, integer, missing, required_text, texts_of
from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.protocol import Request, Response, json_response, parse_object
from llama_index_ft_rag.offline.responder import Responder
from llama_index_ft_rag.offline.tokens import count_tokens

MAX_INPUTS = 2048


class Embeddings:
    """Answers `POST /v1/embeddings`."""

    def __init__(self, models: Models, responder: Responder) -> None:
        self._models = models
        self._responder = responder

    def embed(self, request: Request) -> Response:
        """Return one vector per input, in order."""
        body = parse_object(request.body)
        model = required_text(body, "model")
        texts = _read_texts(body)
        encoding = choice_of(body, "encoding_format", ("float", "base64"))
        self._models.check(model, "embeddings")
        vectors = self._responder.embed(texts, model=model)
        dimensions = integer(body, "dimensions", maximum=len(vectors[0]))
        if dimensions is not None:
            vectors = [_shorten(vector, dimensions) for vector in vectors]
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if encoding == "base64" else vector,
            }
            for index, vector in enumerate(vectors)
        ]
        tokens = sum(count_tokens(text) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json_response({"object": "list", "data": data, "model": model, "usage": usage}, tokens=tokens)


def _read_texts(body: Mapping[str, Any]) -> list[str]:
    if body.get("input") is None:
        raise missing("input")
    return texts_of(body, "input", most=MAX_INPUTS, may_be_empty=False)


def _shorten(vector: Sequence[float], dimensions: int) -> list[float]:
    head = vector[:dimensions]
    norm = math.sqrt(sum(value * value for value in head)) or 1.0
    return [value / norm for value in head]


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
