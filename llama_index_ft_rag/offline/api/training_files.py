"""What a training file must hold before a job accepts it.

In: an uploaded file, and the method of the job. Out: its examples, or the job error that the service reports: the
first example that is not of the method's format, then too few examples. That order is a guess; the service's is
not known. Knows nothing of jobs or of who trains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from llama_index_ft_rag.offline.api.chat_messages import find_beyond_text, find_problem, message_texts
from llama_index_ft_rag.offline.api.json_lines import read_lines
from llama_index_ft_rag.offline.protocol import BLOCK_BYTES, load_json
from llama_index_ft_rag.offline.responder import ApiFailure, TrainingMethod

MINIMUM_EXAMPLES = 10
OUTPUTS = ("preferred_output", "non_preferred_output")
"""The two answers of a preference pair."""

# Only the fifth was seen refused by the service; the others belong to the same chat formats.
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|endofprompt|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|im_sep|>",
)

# OpenAI's guides of 2024/25: images are trained on, sounds and documents are not.
_PARTS_NOT_TRAINED_ON = ("input_audio", "file")


def content_hash(content: IO[bytes]) -> str:
    """Return the hash of a content from where it stands to its end, in hex."""
    digest = hashlib.sha256()
    while block := content.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def read_examples(content: IO[bytes]) -> list[Any]:
    """Return the JSON value of each line that is not blank.

    Raises:
        ValueError: If a line is not JSON, which an accepted upload never is.
    """
    return [load_json(line.text) for line in read_lines(content)]


def messages_of(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all messages of a well-formed example, both answers of a preference pair among them."""
    if "messages" in line:
        return list(line["messages"])
    return [*line["input"]["messages"], *(message for name in OUTPUTS for message in line[name])]


def find_failure(lines: Sequence[Any], *, param: str, method: TrainingMethod, minimum: int) -> ApiFailure | None:
    """Return why a job cannot use these lines, or `None`.

    Args:
        lines: The file's lines.
        param: `training_file` or `validation_file`, which the error names.
        method: What the job does with them.
        minimum: How many examples the file must have.
    """
    find = _FINDERS[method]
    for number, line in enumerate(lines, start=1):
        reason = find(line) if isinstance(line, dict) else "is not a JSON dictionary"
        if reason is not None:
            message = f"Invalid file format. Example {number} {reason}"
            return ApiFailure(message=message, code=f"invalid_{param}", param=param)
    if len(lines) < minimum:
        what = param.replace("_", " ").capitalize()
        message = f"{what} has {len(lines)} example(s), but must have at least {minimum} examples"
        return ApiFailure(message=message, code="invalid_n_examples", param=param)
    return None


def _find_in_chat(line: Mapping[str, Any]) -> str | None:
    if "messages" not in line:
        if OUTPUTS[0] in line:
            return "is a preference pair, but the job's method is supervised"
        return "has no messages: expected chat messages"
    problem = find_problem(line["messages"])
    if problem is not None:
        return f"cannot be read: {problem.where} {problem.reason}"
    messages: list[dict[str, Any]] = line["messages"]
    if messages[-1]["role"] != "assistant":
        return "does not end with a message from the assistant"
    for message in messages:
        reason = _find_in_weight(message) or _find_in_parts(message) or _find_special_token(message)
        if reason is not None:
            return reason
    return None


def _find_in_pair(line: Mapping[str, Any]) -> str | None:
    if "messages" in line:
        return "has messages, but the job's method is dpo: expected a preference pair"
    for name in ("input", *OUTPUTS):
        if name not in line:
            return f"has no {name}: expected a preference pair"
    return _find_in_pair_messages(line)


def _find_in_pair_messages(line: Mapping[str, Any]) -> str | None:
    asked = line["input"].get("messages") if isinstance(line["input"], dict) else None
    for place, messages in (("input.messages", asked), *((name, line[name]) for name in OUTPUTS)):
        problem = find_problem(messages)
        if problem is not None:
            return f"cannot be read: {problem.where.replace('messages', place, 1)} {problem.reason}"
    for name in OUTPUTS:
        if [message["role"] for message in line[name]] != ["assistant"]:
            return f"has a {name} other than one message from the assistant"
    messages = messages_of(line)
    if find_beyond_text(messages) is not None:
        return "holds more than text, which preferences cannot be trained on"
    return next(filter(None, map(_find_special_token, messages)), None)


_FINDERS: Mapping[TrainingMethod, Callable[[Mapping[str, Any]], str | None]] = {
    "supervised": _find_in_chat,
    "dpo": _find_in_pair,
}


def _find_in_weight(message: Mapping[str, Any]) -> str | None:
    if "weight" not in message:
        return None
    if message["role"] != "assistant":
        return f"has a weight on a message from the {message['role']}; only the assistant's may have one"
    weight = message["weight"]
    if isinstance(weight, bool) or weight not in (0, 1):
        return "has a weight other than 0 or 1"
    return None


def _find_in_parts(message: Mapping[str, Any]) -> str | None:
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if part["type"] in _PARTS_NOT_TRAINED_ON:
            return f"holds a part of type {part['type']}; only texts and images can be trained on"
    return None


def _find_special_token(message: dict[str, Any]) -> str | None:
    for text in message_texts(message):
        for token in SPECIAL_TOKENS:
            if token in text:
                return f"message contains an invalid token: {token}"
    return None
