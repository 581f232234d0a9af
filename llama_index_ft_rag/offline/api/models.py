"""The models endpoints, and which names answer to what.

In: model names. Out: model objects as the service shapes them, or the refusal of a name that nobody has.
Tuned models live in the state and are handed to the responder again when a backend starts. Knows nothing of
how they answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from llama_index_ft_rag.offline.conditions import ServiceConditions
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

    def __init__(
        self,
        state: State,
        responder: Responder,
        *,
        conditions: Callable[[], ServiceConditions],
        now: Callable[[], int],
    ) -> None:
        self._state = state
        self._responder = responder
        self._conditions = conditions
        self._now = now
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
        """Whether something answers to this name, or did until it was shut down."""
        return self._own is None or model in self._own or model in self._tuned

    def is_shut_down(self, model: str) -> bool:
        """Whether the day has come on which this model, or the one it was tuned from, stops to answer."""
        day = self._shutdown_date(model)
        return day is not None and datetime.fromtimestamp(self._now(), timezone.utc).date() >= date.fromisoformat(day)

    def is_tunable(self, model: str) -> bool:
        """Whether a job may start here; of the built-in models only the student and what it became."""
        return self.exists(model) and not self.is_shut_down(model) and offline_family(model) in {None, TUNABLE_MODEL}

    def check_answers(self, model: str) -> None:
        """Refuse a name that nobody has, or nobody any more."""
        if not self.exists(model):
            raise not_found(model)
        if self.is_shut_down(model):
            raise refuse(f"The model `{model}` has been deprecated.", status=404, code="model_not_found")

    def check_chat(self, model: str) -> None:
        """Refuse a name that cannot complete a chat."""
        self.check_answers(model)
        if offline_family(model) == EMBEDDING_MODEL:
            raise refuse(
                "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
                status=404,
                param="model",
            )

    def check_embedding(self, model: str) -> None:
        """Refuse a name that cannot embed."""
        self.check_answers(model)
        if offline_family(model) not in {None, EMBEDDING_MODEL}:
            raise refuse("You are not allowed to generate embeddings from this model", status=403)

    def list_models(self, request: Request) -> Response:
        """Return all models that can be named and have not been shut down."""
        own = [self._shown(name) for name in self._own or ()]
        tuned = [self._shown_tuned(record) for record in self._state.all("model")]
        alive = [model for model in (*own, *tuned) if not self.is_shut_down(model["id"])]
        return list_response(alive, request.query, default_limit=10_000, max_limit=10_000)

    def retrieve(self, _request: Request, model: str) -> Response:
        """Return one model object."""
        record = self._state.get("model", model)
        if record is not None and not self.is_shut_down(model):
            return json_response(self._shown_tuned(record))
        if not self.exists(model) or self.is_shut_down(model):
            raise refuse(f"The model '{model}' does not exist", status=404, param="model", code="model_not_found")
        return json_response(self._shown(model))

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

    def _shutdown_date(self, model: str) -> str | None:
        dates = self._conditions().shutdown_dates
        base = model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else model
        days = [dates[name] for name in (model, base) if name in dates]
        return min(days) if days else None

    def _shown(self, model: str) -> dict[str, Any]:
        return {
            "id": model,
            "object": "model",
            "created": BUILT_IN_CREATED,
            "owned_by": "offline-toy",
            "shutdown_date": self._shutdown_date(model),
        }

    def _shown_tuned(self, record: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._shown(record["id"]), "created": record["created"], "owned_by": "org-offline"}


def not_found(model: str) -> Refusal:
    """Make the refusal of a model that nobody has."""
    return refuse(
        f"The model `{model}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
    )
