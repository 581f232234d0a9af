"""A recorded prompt -> the question, the context and the draft answer that its template held.

In: chat messages. Out: `PromptParts`, by the default prompts of LlamaIndex, today's and those of 2023, and by
templates of the caller's own. A prompt made by no known template has no parts. Knows nothing of where examples come
from, and nothing of what a part says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import TrainingExample

_VARIABLE = re.compile(r"\{(\w+)\}")
_CONTEXT = ("context_str", "context_msg")
_QUESTION = ("query_str", "question")
_DRAFT = ("existing_answer",)
_KNOWN = {*_CONTEXT, *_QUESTION, *_DRAFT}
# The parts of prompts that LlamaIndex wrote in 2023 and no longer has.
_OF_2023 = (
    "Context information is below.\n---------------------\n{context_str}\n---------------------\n"
    "Given the context information and not prior knowledge, answer the question: {query_str}\n",
    "New Context: {context_msg}\nQuery: {query_str}\nOriginal Answer: {existing_answer}\nNew Answer: ",
    "The original question is as follows: {query_str}\nWe have provided an existing answer: {existing_answer}\n"
    "We have the opportunity to refine the existing answer (only if needed) with some more context below.\n"
    "------------\n{context_msg}\n------------\n",
)


@dataclass(frozen=True, kw_only=True)
class PromptParts:
    """What was put into a template."""

    context: str
    question: str | None
    draft: str | None
    """The answer that a refine step was asked to improve."""
    message: int
    """Index of the message that holds the context."""
    start: int
    """Where in its text the context begins."""

    @property
    def context_key(self) -> bytes:
        """The same for the same context, and shorter."""
        return hashlib.blake2b(self.context.encode("utf-8", "surrogatepass"), digest_size=12).digest()


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A template: its literal texts, and the variables between them; `literals` is one longer."""

    literals: tuple[str, ...]
    variables: tuple[str, ...]
    is_open: bool = False
    """Whether more may follow."""

    @property
    def context(self) -> int:
        return next(index for index, name in enumerate(self.variables) if name in _CONTEXT)


def read_prompt(messages: Sequence[Mapping[str, Any]], *, templates: Iterable[str] = ()) -> PromptParts | None:
    """Take a prompt apart; `None` where no template fits, as for those with tables or pictures.

    Args:
        messages: In the wire format; messages of the assistant and the parts of mixed content are passed over.
        templates: Of the caller's own, tried first, with `{context_str}` and mostly `{query_str}`, and
            `{existing_answer}` in one that refines.

    Raises:
        ConfigurationError: If a template has no place for the context.
    """
    own = _own_shapes(tuple(templates))
    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    told = [index for index, message in enumerate(messages) if message.get("role") in ("system", "developer")]
    for index in (*asked[-1:], *told):
        text = messages[index].get("content")
        found = _first_match((own, _default_shapes()), text, message=index) if isinstance(text, str) else None
        if found is None:
            continue
        if found.question is None and index not in asked:
            # The context of a chat engine stands in the system prompt, the question in the user's last message.
            question = messages[asked[-1]].get("content") if asked else None
            return replace(found, question=question if isinstance(question, str) else None)
        return found
    return None


def with_context(example: TrainingExample, parts: PromptParts, context: str) -> TrainingExample:
    """The same prompt with another context; the answer stays, and so does what is known of the recorded call."""
    messages = [dict(message) for message in example.messages]
    text = str(messages[parts.message]["content"])
    end = parts.start + len(parts.context)
    messages[parts.message]["content"] = text[: parts.start] + context + text[end:]
    return example.model_copy(update={"messages": messages})


def _first_match(kinds: Iterable[Sequence[_Shape]], text: str, *, message: int) -> PromptParts | None:
    """The parts by the shape that begins first, as a document may quote another; the caller's shapes come first."""
    for shapes in kinds:
        begun = [(text.find(shape.literals[0]), shape) for shape in shapes]
        for first, shape in sorted((pair for pair in begun if pair[0] >= 0), key=lambda pair: pair[0]):
            bounds = _match(shape, text, first=first)
            if bounds is not None:
                return _parts(dict(zip(shape.variables, bounds, strict=True)), text, message=message)
    return None


def _match(shape: _Shape, text: str, *, first: int) -> list[tuple[int, int]] | None:
    """Where in a text the variables stand, if the shape begins at `first`.

    What stands before the context is looked for from the beginning and what stands behind it from the end: a
    document may quote a prompt, and a question or a draft seldom does.
    """
    end = _end(shape, text)
    starts = [first + len(shape.literals[0])]
    for literal in shape.literals[1 : shape.context + 1]:
        found = text.find(literal, starts[-1], max(end, 0))
        if found < 0:
            return None
        starts.append(found + len(literal))
    behind: list[tuple[int, int]] = []
    for index in range(len(shape.variables) - 1, shape.context, -1):
        found = text.rfind(shape.literals[index], starts[-1], max(end, 0))
        if found < 0:
            return None
        behind.append((found + len(shape.literals[index]), end))
        end = found
    before = [(starts[index], starts[index + 1] - len(shape.literals[index + 1])) for index in range(shape.context)]
    bounds = [*before, (starts[shape.context], end), *reversed(behind)]
    return None if any(start > stop for start, stop in bounds) else bounds


def _end(shape: _Shape, text: str) -> int:
    """Where the last literal stands, or -1.

    More may follow it where the question is not part of the prompt, as in a chat engine, whose system prompt LlamaIndex
    puts there, and in the refine prompt of 2023, whose last sentence had several wordings.
    """
    last = shape.literals[-1].rstrip()
    if shape.is_open:
        return text.rfind(last)
    end = len(text.rstrip()) - len(last)
    return end if text.startswith(last, max(end, 0)) else -1


def _parts(held: Mapping[str, tuple[int, int]], text: str, *, message: int) -> PromptParts:
    def of(names: tuple[str, ...]) -> str | None:
        return next((text[slice(*held[name])] for name in names if name in held), None)

    question, draft = of(_QUESTION), of(_DRAFT)
    start = next(held[name][0] for name in _CONTEXT if name in held)
    return PromptParts(
        context=of(_CONTEXT) or "",
        question=question.strip() if question is not None else None,
        draft=draft.strip() if draft is not None else None,
        message=message,
        start=start,
    )


def _shape(template: str) -> _Shape | None:
    """The template's shape; `None` if it has no place for a context, or names a variable twice."""
    pieces = _VARIABLE.split(template)
    literals, variables = pieces[::2], pieces[1::2]
    if len({*variables}) != len(variables) or not _KNOWN.issuperset(variables):
        return None
    if len([name for name in variables if name in _CONTEXT]) != 1 or not all(literals[:-1]):
        return None
    is_open = template == _OF_2023[-1] or not {*_QUESTION}.intersection(variables)
    return _Shape(literals=tuple(literals), variables=tuple(variables), is_open=is_open)


@lru_cache(maxsize=32)
def _own_shapes(templates: tuple[str, ...]) -> tuple[_Shape, ...]:
    shapes = []
    for template in templates:
        shape = _shape(template)
        if shape is None:
            raise ConfigurationError(
                f"the template {template[:60]!r} cannot be used to read prompts; it needs {{context_str}} once, behind "
                "some text, and may have {query_str} and {existing_answer}"
            )
        shapes.append(shape)
    return tuple(shapes)


@lru_cache(maxsize=1)
def _default_shapes() -> tuple[_Shape, ...]:
    """Those of the LlamaIndex that is installed, and the older ones; the longest first, as it says the most."""
    from llama_index.core.chat_engine import condense_plus_context, context
    from llama_index.core.prompts import chat_prompts, default_prompts
    from llama_index.core.query_engine import citation_query_engine

    found = set(_OF_2023)
    for module in (default_prompts, chat_prompts, citation_query_engine, context, condense_plus_context):
        for value in vars(module).values():
            if isinstance(value, str):
                found.add(value)
            found.update(_texts_of(value))
    shapes = [_shape(template) for template in sorted(found, key=lambda text: (-len(text), text))]
    return tuple(shape for shape in shapes if shape is not None)


def _texts_of(prompt: Any) -> list[str]:
    template = getattr(prompt, "template", None)
    messages = getattr(prompt, "message_templates", None) or []
    texts = [getattr(message, "content", None) for message in messages]
    return [text for text in (template, *texts) if isinstance(text, str)]
