"""The recorder: LLM calls of any LlamaIndex app in, training examples out, the app undisturbed.

Modules in their order: `messages` (LlamaIndex messages to OpenAI's wire format), `call_kinds` (what a call was
for), `recorded_calls` (what is kept), `spans`, `watching`, `dispatching` (LlamaIndex's instrumentation),
`handler` (what a user holds).
"""

from llama_index_ft_rag.recording.handler import NEVER_SAVED, FinetuningEvent, OpenAIFineTuningHandler
from llama_index_ft_rag.recording.messages import from_wire, to_wire
from llama_index_ft_rag.recording.recorded_calls import RecordingSummary

__all__ = ["NEVER_SAVED", "FinetuningEvent", "OpenAIFineTuningHandler", "RecordingSummary", "from_wire", "to_wire"]
