"""The models endpoints, and which names answer to what.

In: model names. Out: model objects as the service shapes them, or the refusal of a name that nobody has.
Tuned models live in the state and are handed to the responder again when a backend starts. Knows nothing of
how they answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index_ft_rag.offline.protocol import (
    Refusal,
    Request,
    Response,
    json_response,
    list_response,
    refuse,
)
from llama_index_ft_rag.offline.responder import EMBEDDING_MODEL, TUNABLE_MODEL, Responder, offline_family
from llama_index_ft_rag.offline.state import State

# The built-in models were not made at any time of the user's; the same date keeps runs identical.
BUILT_IN_CREATED = 1_795_305_600


class Models:
    """Answers the requests under `/v1/models`, and knows who may answer what."""

    def __init__(self, state: State, responder: Responder) -> None:
        self._state = state
        self._responder = responder
        self._own = responder.models()
        self._tuned: set[str] = set()
        for record in state.all("model"):
            responder.load(record["id"], record["weights"])
            self._tuned.add(record["id"])

    def add(self, model_id: str, *, weights: dict[str, Any], created: int) -> None:
        """Keep a tuned model within a change that the caller has begun, and make it answer."""
        self._state.put("model", model_id, {"id": model_id, "created": created, "weights": weights})
        self._responder.load(model_id, weights)
        self._tuned.add(model_id)

    def exists(self, model: str) -> bool:
        """Whether something answers to this name."""
        return self._own is None or model in self._own or model in self._tuned

    def is_tunable(self, model: str) -> bool:
        """Whether a job may start here; of the built-in models only the student and what it became."""
        return self.exists(model) and offline_family(model) in {None, TUNABLE_MODEL}

    def check_chat(self, model: str) -> None:
        """Refuse a name that cannot complete a chat."""
        if not self.exists(model):
            raise not_found(model)
        if offline_family(model) == EMBEDDING_MODEL:
            raise refuse(
                "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
                status=404,
                param="model",
            )

    def check_embedding(self, model: str) -> None:
        """Refuse a name that cannot embed."""
        if not self.exists(model):
            raise not_found(model)
        if offline_family(model) not in {None, EMBEDDING_MODEL}:
            raise refuse("You are not allowed to generate embeddings from this model", status=403)

    def list_models(self, request: Request) -> Response:
        """Return all models that can be named."""
        own = [_shown(name) for name in self._own or ()]
        tuned = [_shown_tuned(record) for record in self._state.all("model")]
        return list_response([*own, *tuned], request.query, default_limit=10_000, max_limit=10_000)

    def retrieve(self, _request: Request, model: str) -> Response:
        """Return one model object."""
        record = self._state.get("model", model)
        if record is not None:
            return json_response(_shown_tuned(record))
        if not self.exists(model):
            raise refuse(f"The model '{model}' does not exist", status=404, param="model", code="model_not_found")
        return json_response(_shown(model))

    def delete(self, _request: Request, model: str) -> Response:
        """Drop a tuned model; the others cannot be dropped."""
        with self._state.changing():
            if self._state.get("model", model) is None:
                if self.exists(model):
                    raise refuse(f"You have insufficient permissions to delete the model '{model}'.", status=403)
                raise refuse(f"The model '{model}' does not exist", status=404, param="model", code="model_not_found")
            self._state.delete("model", model)
        self._tuned.discard(model)
        return json_response({"id": model, "object": "model", "deleted": True})


def not_found(model: str) -> Refusal:
    """Make the refusal of a model that nobody has."""
    return refuse(
        f"The model `{model}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
    )


def _shown(model: str) -> dict[str, Any]:
    return {
        "id": model,
        "object": "model",
        "created": BUILT_IN_CREATED,
        "owned_by": "offline-toy",
        "shutdown_date": None,
    }


def _shown_tuned(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**_shown(record["id"]), "created": record["created"], "owned_by": "org-offline"}
