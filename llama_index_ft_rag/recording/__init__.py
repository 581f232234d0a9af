"""The recorder: LLM calls of any LlamaIndex app in, training examples out, the app undisturbed.

Modules in their order: `log_lines`, `reasons` (why a call is not kept), `messages` (LlamaIndex messages to OpenAI's
wire format), `query_groups` and `scopes` (what belongs together), `call_kinds` (what a call was for), `recorded_calls`
(what is open, kept, counted), `kept_rows` (in memory) and `journal` (on disk), `spans`, `streams` and `places` (where
in an app a call is made), `sent_settings`, `watching`, `wrapping` (LLMs that LlamaIndex is silent about), `ears` (on
its dispatcher), `doctor` (why nothing is seen), `dispatching`, `handler` (what a user holds).
"""

from llama_index_ft_rag.recording.handler import (
    FOR_TRAINING,
    NEVER_SAVED,
    FinetuningEvent,
    OpenAIFineTuningHandler,
)
from llama_index_ft_rag.recording.journal import read_recording
from llama_index_ft_rag.recording.messages import from_wire, to_wire
from llama_index_ft_rag.recording.recorded_calls import RecordingSummary

__all__ = [
    "FOR_TRAINING",
    "NEVER_SAVED",
    "FinetuningEvent",
    "OpenAIFineTuningHandler",
    "RecordingSummary",
    "from_wire",
    "read_recording",
    "to_wire",
]
