"""A chat model by function, for the tests of what asks models: it notes what it is asked, and how much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from pydantic import PrivateAttr

Reply = Callable[[str], "str | BaseException | None"]
"""Takes the last message; an exception is raised, and `None` never comes."""


class ScriptedLLM(CustomLLM):
    """Replies by a function, which shouts the last message back if none is given."""

    finish_reason: str = "stop"
    # Private, because a ledger takes every field of a model for a setting of it.
    _reply: Reply = PrivateAttr()
    _asked: list[list[tuple[str, str | None]]] = PrivateAttr(default_factory=list)
    _flying: int = PrivateAttr(default=0)
    _peak: int = PrivateAttr(default=0)

    def __init__(self, reply: Reply = str.upper, **settings: Any) -> None:
        super().__init__(**settings)
        self._reply = reply

    @property
    def metadata(self) -> LLMMetadata:
        """It is a chat model."""
        return LLMMetadata(model_name="scripted", is_chat_model=True)

    @property
    def asked(self) -> list[list[tuple[str, str | None]]]:
        """Roles and texts of each request so far."""
        return self._asked

    @property
    def peak(self) -> int:
        """The most requests that were under way at once."""
        return self._peak

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        """Reply by the function."""
        self._asked.append([(message.role.value, message.content) for message in messages])
        self._flying += 1
        self._peak = max(self._peak, self._flying)
        await asyncio.sleep(0)
        self._flying -= 1
        said = self._reply(messages[-1].content)
        if isinstance(said, BaseException):
            raise said
        if said is None:
            await asyncio.Event().wait()
        return ChatResponse(
            message=ChatMessage(role=MessageRole.ASSISTANT, content=said),
            raw={"choices": [{"finish_reason": self.finish_reason}]},
        )

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Refuse: it is asked through `achat`."""
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Refuse: it is asked through `achat`."""
        raise NotImplementedError
