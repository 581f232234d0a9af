"""What the built-in models are not asked: the one place that knows what they are no good for.

In: a model's name, and where or what it is asked. Out: nothing, or the service's refusal. A name that is not of a
built-in model, or of one tuned from it, is never refused here. Knows nothing of which models there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llama_index_ft_rag.offline.protocol import refuse
from llama_index_ft_rag.offline.responder import (
    EMBEDDING_MODEL,
    OFFLINE_MODELS,
    ChatEndpoint,
    OfflineModel,
    offline_family,
)

Endpoint = ChatEndpoint | Literal["embeddings"]


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """Which models an endpoint is closed to, and in which words the service says so."""

    models: Collection[OfflineModel]
    message: str
    status: int
    param: str | None = "model"


_BARS: Mapping[Endpoint, _Bar] = {
    "chat/completions": _Bar(
        models=(EMBEDDING_MODEL,),
        message="This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
        status=404,
    ),
    "completions": _Bar(
        models=OFFLINE_MODELS,
        message="The model `{model}` is not supported in the v1/completions endpoint; "
        "chat models are asked at v1/chat/completions.",
        status=404,
    ),
    "responses": _Bar(
        models=(EMBEDDING_MODEL,),
        message="The requested model '{model}' cannot be used with the Responses API.",
        status=400,
    ),
    "embeddings": _Bar(
        models=tuple(name for name in OFFLINE_MODELS if name != EMBEDDING_MODEL),
        message="You are not allowed to generate embeddings from this model",
        status=403,
        param=None,
    ),
}


def check_endpoint(model: str, endpoint: Endpoint) -> None:
    """Refuse a built-in model at an endpoint that it does not answer."""
    bar = _BARS[endpoint]
    if offline_family(model) in bar.models:
        raise refuse(bar.message.format(model=model), status=bar.status, param=bar.param)


def check_asked(model: str, given: Mapping[str, Any], where: str | None) -> None:
    """Refuse what a built-in model has no use for, rather than leave it unread.

    Args:
        model: Any model's name.
        given: The parameters of the request.
        where: The place of the first image, sound or file in it.
    """
    if offline_family(model) is None:
        return
    for name in ("tools", "functions"):
        if given.get(name):
            raise refuse(
                f"The offline model {model} cannot call tools; leave '{name}' out.",
                param=name,
                code="unsupported_parameter",
            )
    if where is not None:
        raise refuse(
            f"The offline model {model} reads text only; leave out the image, sound or file at {where}.",
            param=where,
            code="unsupported_value",
        )
