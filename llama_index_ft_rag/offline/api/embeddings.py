"""The embeddings endpoint.

In: a text, texts, or token ids. Out: vectors as lists of numbers or as base64 of little-endian 32-bit floats.
There is no tokenizer here: token ids are embedded as the words "1212 318 ...", near other token ids alone.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from llama_index_ft_rag.offline.api.models import Models
from llama_index_ft_rag.offline.protocol import (
    Request,
    Response,
    invalid_type,
    json_response,
    parse_object,
    refuse,
    required_text,
)
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
        texts = _texts(body.get("input"))
        encoding = body.get("encoding_format") or "float"
        if encoding not in {"float", "base64"}:
            raise invalid_type("encoding_format", "'float' or 'base64'", encoding)
        self._models.check_embedding(model)
        vectors = self._responder.embed(texts, model=model)
        if body.get("dimensions") is not None:
            vectors = [_shorten(vector, body["dimensions"]) for vector in vectors]
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


def _texts(given: Any) -> list[str]:
    if given is None:
        raise refuse("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    inputs = [given] if isinstance(given, str) or _is_token_ids(given) else given
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= MAX_INPUTS:
        raise invalid_type("input", f"a text or a list of 1 to {MAX_INPUTS} texts", given)
    return [_text(item) for item in inputs]


def _text(item: Any) -> str:
    if _is_token_ids(item):
        return " ".join(str(token) for token in item)
    if not isinstance(item, str) or not item:
        raise invalid_type("input", "texts that are not empty, or lists of token ids", item)
    return item


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _shorten(vector: Sequence[float], dimensions: Any) -> list[float]:
    if type(dimensions) is not int or not 1 <= dimensions <= len(vector):
        raise invalid_type("dimensions", f"an integer from 1 to {len(vector)}", dimensions)
    head = vector[:dimensions]
    norm = math.sqrt(sum(value * value for value in head)) or 1.0
    return [value / norm for value in head]


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
