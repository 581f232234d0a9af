"""Which settings an LLM sends with a call, and which of them are kept.

In: the span of a call and the settings it was made with. Out: what goes over the wire beside the messages. Knows
llms-openai's own ways (0.8.0 to 0.8.3, read 2026-11-24); other LLMs are taken by their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_ft_rag.recording.messages import WireMessage, plain
from llama_index_ft_rag.recording.spans import Span

# What is kept of a call's settings. Named one by one: an app may pass headers and keys beside them.
PARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "stop",
        "seed",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "reasoning_effort",
        "reasoning",
        "reasoning_options",
        "verbosity",
        "modalities",
        "response_format",
        "text",
        "text_format",
        "tool_choice",
        "service_tier",
    }
)


_OWN_SETTINGS = PARAMETERS | {"tools", "parallel_tool_calls"}


def parameters_in(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the settings of a call."""
    return {name: plain(sent[name]) for name in sorted(PARAMETERS & sent.keys())}


def instructions_sent(span: Span, sent: Mapping[str, Any]) -> list[WireMessage]:
    """What an LLM of the Responses API sends beside its messages, and no event carries."""
    if "instructions" not in getattr(span.instance, "__dict__", {}):
        return []
    instructions = sent.get("instructions")
    return [{"role": "system", "content": instructions}] if isinstance(instructions, str) and instructions else []


def goes_on(span: Span, sent: Mapping[str, Any]) -> bool:
    """Whether the Responses API is told to put what it has stored before the messages."""
    if sent.get("previous_response_id"):
        return True
    own = getattr(span.instance, "__dict__", {})
    return "track_previous_responses" in own and bool(getattr(span.instance, "_previous_response_id", None))


def settings_sent(span: Span, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a call as they are sent: its own and those of its LLM, the ones that win last."""
    llm = span.instance
    if "structured_predict" in span.method:  # of the Responses API: it leaves out what its LLM is set to
        merged = {**settings}
    elif isinstance(llm, OpenAI | OpenAIResponses):
        # Which setting wins, and under which name it is sent, is decided in there, for each model its own way.
        merged = llm._get_model_kwargs(**settings)  # noqa: SLF001
    else:
        fields = getattr(llm, "__dict__", {})
        merged = {name: value for name, value in fields.items() if name in _OWN_SETTINGS}
        extra = fields.get("additional_kwargs")
        merged.update(extra if isinstance(extra, dict) else {})
        merged.update(settings)
    return {name: value for name, value in merged.items() if value is not None}
