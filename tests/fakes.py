"""Fakes written by hand, used by several test modules."""

from __future__ import annotations

from pathlib import Path

from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from pydantic import BaseModel

from llama_index_ft_rag.offline import ChatReply, ChatRequest, ToolCall
from llama_index_ft_rag.testing import Fault


class Saying(CustomLLM):
    """An LLM that always says the same."""

    text: str

    @property
    def metadata(self) -> LLMMetadata:
        """Its name tells what it says."""
        return LLMMetadata(model_name=f"saying-{self.text}")

    def complete(self, prompt, formatted=False, **kwargs):
        """Say it."""
        return CompletionResponse(text=self.text)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        """Say it at once."""
        yield CompletionResponse(text=self.text, delta=self.text)


class Capital(BaseModel):
    """A structured answer."""

    city: str


class Script:
    """Uses a tool until it has an answer, obeys a schema, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []

    def __call__(self, request: ChatRequest) -> str | ChatReply:
        self.asked.append(request)
        if request.messages[-1]["role"] == "tool":
            return "It is 21 degrees."
        if "response_format" in request.parameters:
            return '{"city": "Paris"}'
        if tools := request.parameters.get("tools"):
            return ChatReply(tool_calls=[ToolCall(name=tools[0]["function"]["name"], arguments={"city": "Paris"})])
        return "It is Paris."


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.naps.append(seconds)

    def clock(self) -> float:
        """The time now."""
        return sum(self.naps)


def named(value: object) -> str:
    """Show a fault by its name in the list of tests."""
    return value.name if isinstance(value, Fault) else ""


def write_report(path: Path, *, departments: int = 24) -> Path:
    """A made-up report: one section per department, each with facts to ask about."""
    names = ["Harbour", "Orchard", "Foundry", "Meadow", "Quarry", "Lantern", "Compass", "Saddle"]
    people = ["Ana Duarte", "Bo Lindqvist", "Chidi Okafor", "Dana Petrov"]
    sections = []
    for number in range(departments):
        name = f"{names[number % len(names)]} {number // len(names) + 1}"
        sections.append(
            f"## {name}\n\n"
            f"The {name} department employed {120 + 7 * number} people at the end of fiscal 2025. "
            f"Revenue of the {name} department was ${10 + number}.4 million, "
            f"an increase of {3 + number % 9}% over 2024. "
            f"{people[number % len(people)]} has led the {name} department since {2001 + number % 20}. "
            f"The largest risk to the {name} department is the supply of "
            f"{names[(number + 3) % len(names)].lower()} parts. "
            f"Its main site covers {40 + number},000 square metres and its lease ends in {2027 + number % 10}.\n"
        )
    path.write_text("# Annual report of an invented company\n\n" + "\n".join(sections), encoding="utf-8")
    return path
