"""For tests of apps that call the OpenAI API: a service that answers as a test wants, and fails as a test wants.

    backend.faults.add(rate_limited(retry_after=0.01), times=2)

`RunningBackend` is the service, and pytest finds it as the fixture `ft_rag_backend`. A fault says what goes
wrong, `faults.add` when. What a script of answers or a fault of one's own is made of can be had here too.
"""

from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.faults import Fault, Faults, Rule, Strike
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
from llama_index_ft_rag.testing.files_and_jobs import (
    broken_file,
    file_not_ready,
    job_fails_at_step,
    job_never_ends,
    job_without_model,
    model_missing_at_first,
    slow_file,
)
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
    "ConnectionLost",
    "Fault",
    "Faults",
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
    "overloaded",
    "permission_denied",
    "quota_used_up",
    "rate_limited",
    "request_too_large",
    "score_out_of_range",
    "server_error",
    "slow_file",
    "too_few_verdicts",
    "training_not_available",
    "truncated_json",
    "wrong_content_type",
    "wrong_key",
    "wrong_type",
]
