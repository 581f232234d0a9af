"""Faults in which the service answers with an error: status codes with the bodies that come with them.

In: what is wrong. Out: faults. Unless told otherwise the request has no effect. What the offline backend answers
with by itself too, it answers in the words of `offline.service_errors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline import service_errors
from llama_index_ft_rag.offline.faults import Fault
from llama_index_ft_rag.offline.protocol import Handler, Request, Response, error_response
from llama_index_ft_rag.offline.responder import ApiFailure
from llama_index_ft_rag.testing.rewriting import take_effect

CHAT_ROUTE = "POST /v1/chat/completions"
JOBS_ROUTE = "POST /v1/fine_tuning/jobs"
UPLOAD_ROUTE = "POST /v1/files"

_BAD_GATEWAY = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body>
<center><h1>502 Bad Gateway</h1></center>
<hr><center>nginx</center>
</body>
</html>
"""


@dataclass(frozen=True, kw_only=True)
class _ErrorAnswer(Fault):
    make: Callable[[Request], Response] = field(repr=False)
    took_effect: bool = False

    def strike(self, request: Request, proceed: Handler) -> Response:
        if self.took_effect:
            take_effect(request, proceed)
        return self.make(request)


def answer_with(
    status: int,
    message: str | None = None,
    *,
    code: str | None = None,
    type: str = "invalid_request_error",  # noqa: A002 - the name of the field in the body
    param: str | None = None,
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    took_effect: bool = False,
) -> Fault:
    """Answer with any status: an error body made of `message`, or `body` as it is.

    Args:
        status: The status code.
        message: Goes into an error body of the service's shape, with `code`, `type` and `param`.
        code: Of the error body.
        type: Of the error body.
        param: Of the error body.
        body: Sent in place of an error body, as HTML unless `headers` say otherwise.
        headers: Added to the answer, names in lower case.
        took_effect: Whether the request took effect all the same.

    Raises:
        ConfigurationError: If both a message and a body are given, or neither, or `status` is none of an answer.
    """
    if not 200 <= status <= 599:
        raise ConfigurationError(f"answer_with({status}): pass a status of an answer, from 200 to 599")
    if (message is None) == (body is None):
        raise ConfigurationError(f"answer_with({status}): pass either a message or a body")
    if message is not None:
        failure = ApiFailure(message=message, status=status, type=type, code=code, param=param)
        answer = error_response(failure)
    else:
        content = body.encode() if isinstance(body, str) else body or b""
        answer = Response(status=status, headers={"content-type": "text/html; charset=utf-8"}, body=(content,))
    answer = replace(answer, headers={**answer.headers, **(headers or {})})
    return _ErrorAnswer(name=f"answer_with({status})", make=lambda _: answer, took_effect=took_effect)


def rate_limited(*, retry_after: float | None = None) -> Fault:
    """429 `rate_limit_exceeded`: too many tokens per minute; `retry_after` seconds are sent as `Retry-After`."""
    _check_wait("rate_limited", retry_after)

    def failure(request: Request) -> ApiFailure:
        return service_errors.rate_limited(
            _model_of(request), unit="tokens", limit=90_000, used=89_800, requested=900, retry_after=retry_after
        )

    return _failing("rate_limited", failure)


def quota_used_up() -> Fault:
    """429 `insufficient_quota`: nothing is left to spend, so that trying again does not help."""
    return _failing("quota_used_up", lambda _: service_errors.quota_used_up())


def overloaded(*, retry_after: float | None = None) -> Fault:
    """503: the service has too much to do; `retry_after` seconds are sent as `Retry-After`."""
    _check_wait("overloaded", retry_after)
    message = "The server is currently overloaded with other requests. Sorry about that! You can retry your request."
    failure = ApiFailure(message=message, status=503, type="server_error", retry_after=retry_after)
    return _failing("overloaded", lambda _: failure)


def server_error(*, took_effect: bool = False) -> Fault:
    """500: the service failed, before or after the request took effect."""
    return _failing("server_error", lambda _: service_errors.server_error(), took_effect=took_effect)


def bad_gateway(*, took_effect: bool = False) -> Fault:
    """502 with a page of HTML, as a proxy sends it, before or after the request took effect."""
    gateway = answer_with(502, body=_BAD_GATEWAY, headers={"content-type": "text/html"}, took_effect=took_effect)
    return replace(gateway, name="bad_gateway")


def wrong_key() -> Fault:
    """401 `invalid_api_key`, with the key half hidden in its message."""

    def failure(request: Request) -> ApiFailure:
        key = request.headers.get("authorization", "").partition(" ")[2]
        shown = f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) > 8 else "*" * len(key)
        return ApiFailure(
            message=f"Incorrect API key provided: {shown}. "
            "You can find your API key at https://platform.openai.com/account/api-keys.",
            status=401,
            code="invalid_api_key",
        )

    return _failing("wrong_key", failure)


def permission_denied() -> Fault:
    """403: the key may not do this."""
    failure = ApiFailure(message="You have insufficient permissions for this operation.", status=403)
    return _failing("permission_denied", lambda _: failure)


def training_not_available() -> Fault:
    """403 `training_not_available`: the organisation may create no jobs any more; the upload before went well."""
    return _failing("training_not_available", lambda _: service_errors.training_not_available(), route=JOBS_ROUTE)


def model_not_found() -> Fault:
    """404 `model_not_found`: no such model, or none that this key may use."""

    def failure(request: Request) -> ApiFailure:
        return service_errors.model_not_found(_model_of(request))

    return _failing("model_not_found", failure, route=CHAT_ROUTE)


def context_too_long(*, limit: int = 8192, used: int = 9000) -> Fault:
    """400 `context_length_exceeded`: the messages have more tokens than the model takes."""
    if not 0 < limit < used:
        raise ConfigurationError(
            f"context_too_long(limit={limit}, used={used}): pass a limit above 0, and more tokens used than that"
        )
    failure = ApiFailure(
        message=f"This model's maximum context length is {limit} tokens. However, your messages resulted in "
        f"{used} tokens. Please reduce the length of the messages.",
        param="messages",
        code="context_length_exceeded",
    )
    return _failing("context_too_long", lambda _: failure, route=CHAT_ROUTE)


def content_filtered() -> Fault:
    """400 `content_filter`: the prompt was refused by a content policy, as Azure says it."""
    failure = ApiFailure(
        message="The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please modify your prompt and retry.",
        param="prompt",
        code="content_filter",
    )
    return _failing("content_filtered", lambda _: failure, route=CHAT_ROUTE)


def request_too_large(*, limit: int = 26_214_400) -> Fault:
    """413: the request has more bytes than the service reads."""
    if limit < 1:
        raise ConfigurationError(f"request_too_large(limit={limit}): pass a number of bytes above 0")
    failure = service_errors.file_too_large(limit=limit, size=limit + 1)
    return _failing("request_too_large", lambda _: failure, route=UPLOAD_ROUTE)


def _failing(
    name: str, failure: Callable[[Request], ApiFailure], *, route: str = "*", took_effect: bool = False
) -> Fault:
    return _ErrorAnswer(
        name=name,
        route=route,
        make=lambda request: error_response(failure(request)),
        took_effect=took_effect,
    )


def _check_wait(name: str, retry_after: float | None) -> None:
    if retry_after is not None and not 0 <= retry_after < math.inf:
        raise ConfigurationError(
            f"{name}(retry_after={retry_after}): pass a number of seconds that is not below 0, or leave it out"
        )


def _model_of(request: Request) -> str:
    return service_errors.model_of(request) or "gpt-4.1"
