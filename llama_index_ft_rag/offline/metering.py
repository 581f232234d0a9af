"""How much of the offline backend an account has used: rate limits, their headers, and the quota.

In: the calls of models, before and after they are answered. Out: the service's refusal of one too many, and
the headers that tell a client how near it is. Knows nothing of what the calls are about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.protocol import Handler, Refusal, Request, Response
from llama_index_ft_rag.offline.service_errors import Unit, model_of, quota_used_up, rate_limited

_WINDOW_SECONDS = 60.0


@dataclass
class _Use:
    """What one model was asked within the running minute."""

    since: float
    requests: int = 0
    tokens: int = 0


class Meter:
    """Counts the calls of models and refuses those that the conditions do not allow."""

    def __init__(self, conditions: Callable[[], ServiceConditions], clock: Callable[[], float]) -> None:
        self._conditions = conditions
        self._clock = clock
        self._uses: dict[str, _Use] = {}
        self._used_tokens = 0
        self._lock = threading.Lock()

    def answer(self, request: Request, proceed: Handler) -> Response:
        """Answer a call of a model within the limits, and tell what is left of them.

        Raises:
            Refusal: If a limit is reached.
        """
        conditions = self._conditions()
        limits = (conditions.requests_per_minute, conditions.tokens_per_minute, conditions.quota_tokens)
        if all(limit is None for limit in limits):
            return proceed(request)
        model = model_of(request)
        with self._lock:
            use = self._use(model)
            self._check(model, use, conditions)
            use.requests += 1
        response = proceed(request)
        with self._lock:
            use.tokens += response.tokens
            self._used_tokens += response.tokens
            headers = self._headers(use, conditions)
        return replace(response, headers={**response.headers, **headers})

    def _use(self, model: str) -> _Use:
        now = self._clock()
        use = self._uses.get(model)
        if use is None or not 0 <= now - use.since < _WINDOW_SECONDS:  # a clock may be set back
            use = self._uses[model] = _Use(since=now)
        return use

    def _check(self, model: str, use: _Use, conditions: ServiceConditions) -> None:
        if conditions.quota_tokens is not None and self._used_tokens >= conditions.quota_tokens:
            raise Refusal(quota_used_up())
        wait = self._reset_seconds(use)
        for unit, used, limit in _limits(use, conditions):
            if limit is not None and used >= limit:
                raise Refusal(rate_limited(model, unit=unit, limit=limit, used=used, retry_after=max(wait, 0.001)))

    def _headers(self, use: _Use, conditions: ServiceConditions) -> dict[str, str]:
        headers: dict[str, str] = {}
        reset = f"{self._reset_seconds(use):g}s"
        for unit, used, limit in _limits(use, conditions):
            if limit is not None:
                headers[f"x-ratelimit-limit-{unit}"] = str(limit)
                headers[f"x-ratelimit-remaining-{unit}"] = str(max(0, limit - used))
                headers[f"x-ratelimit-reset-{unit}"] = reset
        return headers

    def _reset_seconds(self, use: _Use) -> float:
        return round(max(0.0, _WINDOW_SECONDS - (self._clock() - use.since)), 3)


def _limits(use: _Use, conditions: ServiceConditions) -> tuple[tuple[Unit, int, int | None], ...]:
    return (
        ("requests", use.requests, conditions.requests_per_minute),
        ("tokens", use.tokens, conditions.tokens_per_minute),
    )
