"""An OpenAI-compatible backend without a key and without a network, for one machine.

Requests come in through a client in this process (`OfflineBackend.http_client`) or a server that only this
machine reaches (`serve`). A responder decides what the models say: the built-in toy readers, or a scripted
one in tests. Nothing it says is evidence that fine-tuning helps: it shows that a pipeline works.

Here is what runs a backend and what answers in it. What goes wrong in one, faults and their rules, is part of
`llama_index_ft_rag.testing`, which also has the names from here that tests need beside them.
"""

from llama_index_ft_rag.offline.backend import Exchange, OfflineBackend
from llama_index_ft_rag.offline.clients import OFFLINE_URL, Clients, open_clients
from llama_index_ft_rag.offline.conditions import ServiceConditions
from llama_index_ft_rag.offline.loopback import LoopbackServer, serve
from llama_index_ft_rag.offline.protocol import ConnectionLost, Refusal, Request, Response
from llama_index_ft_rag.offline.responder import (
    EMBEDDING_MODEL,
    OFFLINE_MODELS,
    TUNABLE_MODEL,
    ApiFailure,
    ChatReply,
    ChatRequest,
    OfflineModel,
    Responder,
    ScriptedResponder,
    ToolCall,
    TrainRequest,
    TrainStep,
)

__all__ = [
    "EMBEDDING_MODEL",
    "OFFLINE_MODELS",
    "OFFLINE_URL",
    "TUNABLE_MODEL",
    "ApiFailure",
    "ChatReply",
    "ChatRequest",
    "Clients",
    "ConnectionLost",
    "Exchange",
    "LoopbackServer",
    "OfflineBackend",
    "OfflineModel",
    "Refusal",
    "Request",
    "Responder",
    "Response",
    "ScriptedResponder",
    "ServiceConditions",
    "ToolCall",
    "TrainRequest",
    "TrainStep",
    "open_clients",
    "serve",
]
