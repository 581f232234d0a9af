"""For tests of apps that call the OpenAI API: a service that answers as a test wants, and fails as a test wants.

    backend.faults.add(rate_limited(retry_after=0.01), times=2)

`RunningBackend` is the service, and pytest finds it as the fixture `ft_rag_backend`. A fault says what goes
wrong, `faults.add` when. Names are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index_ft_rag.offline.backend import OfflineBackend
    from llama_index_ft_rag.offline.clients import Clients, open_clients
    from llama_index_ft_rag.offline.conditions import ServiceConditions
    from llama_index_ft_rag.offline.faults import Fault, Faults, Rule, Strike
    from llama_index_ft_rag.offline.loopback import LoopbackServer, serve
    from llama_index_ft_rag.offline.protocol import ConnectionLost, Refusal, Request, Response
    from llama_index_ft_rag.offline.responder import (
        ApiFailure,
        ChatReply,
        ChatRequest,
        Responder,
        ScriptedResponder,
        ToolCall,
    )
    from llama_index_ft_rag.testing.bodies import (
        empty_body,
        error_in_stream,
        html_page,
        malformed_json,
        missing_field,
        truncated_json,
        wrong_content_type,
    )
    from llama_index_ft_rag.testing.connections import cut_body, delay, drop_connection, hang
    from llama_index_ft_rag.testing.http_errors import (
        answer_with,
        bad_gateway,
        content_filtered,
        context_too_long,
        model_not_found,
        overloaded,
        permission_denied,
        quota_used_up,
        rate_limited,
        request_too_large,
        server_error,
        training_not_available,
        wrong_key,
    )
    from llama_index_ft_rag.testing.lives import (
        broken_file,
        file_not_ready,
        job_fails_at_step,
        job_never_ends,
        job_without_model,
        model_missing_at_first,
        slow_file,
    )
    from llama_index_ft_rag.testing.model_answers import (
        change_answer,
        empty_answer,
        json_in_code_fences,
        mentions,
        missing_key,
        not_json,
        score_out_of_range,
        too_few_verdicts,
        wrong_type,
    )
    from llama_index_ft_rag.testing.running import RunningBackend

__all__ = [
    "ApiFailure",
    "ChatReply",
    "ChatRequest",
    "Clients",
    "ConnectionLost",
    "Fault",
    "Faults",
    "LoopbackServer",
    "OfflineBackend",
    "Refusal",
    "Request",
    "Responder",
    "Response",
    "Rule",
    "RunningBackend",
    "ScriptedResponder",
    "ServiceConditions",
    "Strike",
    "ToolCall",
    "answer_with",
    "bad_gateway",
    "broken_file",
    "change_answer",
    "content_filtered",
    "context_too_long",
    "cut_body",
    "delay",
    "drop_connection",
    "empty_answer",
    "empty_body",
    "error_in_stream",
    "file_not_ready",
    "hang",
    "html_page",
    "job_fails_at_step",
    "job_never_ends",
    "job_without_model",
    "json_in_code_fences",
    "malformed_json",
    "mentions",
    "missing_field",
    "missing_key",
    "model_missing_at_first",
    "model_not_found",
    "not_json",
    "open_clients",
    "overloaded",
    "permission_denied",
    "quota_used_up",
    "rate_limited",
    "request_too_large",
    "score_out_of_range",
    "serve",
    "server_error",
    "slow_file",
    "too_few_verdicts",
    "training_not_available",
    "truncated_json",
    "wrong_content_type",
    "wrong_key",
    "wrong_type",
]

_PARTS = {
    "offline.backend": ("OfflineBackend",),
    "offline.clients": ("Clients", "open_clients"),
    "offline.conditions": ("ServiceConditions",),
    "offline.faults": ("Fault", "Faults", "Rule", "Strike"),
    "offline.loopback": ("LoopbackServer", "serve"),
    "offline.protocol": ("ConnectionLost", "Refusal", "Request", "Response"),
    "offline.responder": ("ApiFailure", "ChatReply", "ChatRequest", "Responder", "ScriptedResponder", "ToolCall"),
    "testing.bodies": (
        "empty_body",
        "error_in_stream",
        "html_page",
        "malformed_json",
        "missing_field",
        "truncated_json",
        "wrong_content_type",
    ),
    "testing.connections": ("cut_body", "delay", "drop_connection", "hang"),
    "testing.http_errors": (
        "answer_with",
        "bad_gateway",
        "content_filtered",
        "context_too_long",
        "model_not_found",
        "overloaded",
        "permission_denied",
        "quota_used_up",
        "rate_limited",
        "request_too_large",
        "server_error",
        "training_not_available",
        "wrong_key",
    ),
    "testing.lives": (
        "broken_file",
        "file_not_ready",
        "job_fails_at_step",
        "job_never_ends",
        "job_without_model",
        "model_missing_at_first",
        "slow_file",
    ),
    "testing.model_answers": (
        "change_answer",
        "empty_answer",
        "json_in_code_fences",
        "mentions",
        "missing_key",
        "not_json",
        "score_out_of_range",
        "too_few_verdicts",
        "wrong_type",
    ),
    "testing.running": ("RunningBackend",),
}
_HOMES = {name: module for module, names in _PARTS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"llama_index_ft_rag.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
