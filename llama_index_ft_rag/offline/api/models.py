"""The models endpoints, and which names answer to what.

In: model names. Out: model objects as the service shapes them, or the refusal of a name that nobody has.
Tuned models live in the state and are handed to the responder again when a backend starts. Knows nothing of
how they answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from llama_index_ft_rag.errors import OfflineBackendError
from llama_index_ft_rag.offline.api.toy_limits import Endpoint, check_endpoint
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import (
    Refusal,
    Request,
    Response,
    json_response,
    list_response,
    refuse,
)
from llama_index_ft_rag.offline.responder import TUNABLE_MODEL, Responder, base_of, offline_family
from llama_index_ft_rag.offline.service_errors import model_not_found
from llama_index_ft_rag.offline.state import State

logger = logging.getLogger(__name__)

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
            try:
                responder.load(record["id"], record["weights"])
            except OfflineBackendError as exc:
                # One model of another responder must not keep the others, and new trainings, from working.
                logger.warning("Tuned model %s does not answer: %s", record["id"], exc)
            else:
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

    def check(self, model: str, endpoint: Endpoint) -> None:
        """Refuse a name that nobody has, or nobody any more, or that does not answer at this endpoint."""
        if not self.exists(model):
            raise Refusal(model_not_found(model))
        if self.is_shut_down(model):
            raise refuse(f"The model `{model}` has been deprecated.", status=404, code="model_not_found")
        check_endpoint(model, endpoint)

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
            raise _unknown(model)
        return json_response(self._shown(model))

    def delete(self, _request: Request, model: str) -> Response:
        """Drop a tuned model; the others cannot be dropped."""
        with self._state.changing():
            if self._state.get("model", model) is None:
                if self.exists(model):
                    raise refuse(f"You have insufficient permissions to delete the model '{model}'.", status=403)
                raise _unknown(model)
            self._state.delete("model", model)
        self._tuned.discard(model)
        return json_response({"id": model, "object": "model", "deleted": True})

    def _shutdown_date(self, model: str) -> str | None:
        dates = self._conditions().shutdown_dates
        days = [dates[name] for name in (model, base_of(model)) if name in dates]
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


def _unknown(model: str) -> Refusal:
    # Here the service says it otherwise than where a model is called.
    return refuse(f"The model '{model}' does not exist", status=404, param="model", code="model_not_found")
