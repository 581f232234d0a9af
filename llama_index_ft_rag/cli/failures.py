"""What a service or a system refused -> one sentence that names it and the next step.

In: errors of the `openai` library. Out: text without keys. Knows nothing of commands.
"""

from __future__ import annotations

import openai

from llama_index_ft_rag import endpoints
from llama_index_ft_rag.hostile_text import one_line, without_controls

STOPPED = "stopped; what was computed is kept, and the same command continues"
_AGAIN = "what was computed or sent before is kept, and the same command goes on"

_NEXT_STEPS = {
    400: "change what it names",
    401: "check the key in OPENAI_API_KEY, or in FT_RAG_TEACHER_API_KEY and its like for a role's own service",
    403: "check what this key may do",
    404: "check the model's name and the base URL",
    429: "check quota and limits, or wait a little",
}


def explain(error: openai.OpenAIError) -> str:
    """One sentence about a failed request: who refused, what it said, what to do."""
    if isinstance(error, openai.APITimeoutError):
        return f"{_address(error)} did not answer in time; {_AGAIN} when it does"
    if isinstance(error, openai.APIConnectionError):
        return f"{_address(error)} cannot be reached; check the address and that the service is running; {_AGAIN}"
    if isinstance(error, openai.APIStatusError):
        step = _NEXT_STEPS.get(error.status_code, "try again later")
        return f"{_address(error)} answered {error.status_code}: {_said(error)}; {step}; {_AGAIN}"
    return f"{one_line(str(error), limit=300)}; {_AGAIN}"


def without_keys(text: str) -> str:
    """The text without control characters and without any API key of this process."""
    return without_controls(endpoints.without_keys(text))


def _address(error: openai.APIError) -> str:
    url = error.request.url
    return f"the service at {url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    said = message if isinstance(message, str) and message else f"no reason given ({type(error).__name__})"
    return one_line(said, limit=300).rstrip(".")
