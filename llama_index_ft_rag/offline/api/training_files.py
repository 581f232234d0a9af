"""What a training file must hold before a job accepts it.

In: an uploaded file. Out: its examples, or the job error that the service reports: too few
examples first, then the first example that is not a chat to learn from. Knows nothing of jobs or of who
trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from llama_index_ft_rag.offline.api.chat_messages import find_problem, message_texts
from llama_index_ft_rag.offline.protocol import load_json
from llama_index_ft_rag.offline.responder import ApiFailure
from llama_index_ft_rag.offline.tokens import count_example_tokens

MINIMUM_EXAMPLES = 10

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


def read_lines(content: IO[bytes]) -> list[Any]:
    """Return the JSON value of each line that is not blank.

    Raises:
        ValueError: If a line is not JSON, which an accepted upload never is.
    """
    lines = (line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line for number, line in enumerate(content))
    return [load_json(line) for line in lines if line.strip()]


def find_failure(lines: Sequence[Any], *, param: str, minimum: int = MINIMUM_EXAMPLES) -> ApiFailure | None:
    """Return why a job cannot use these lines, or `None`.

    Args:
        lines: The file's lines.
        param: `training_file` or `validation_file`, which the error names.
        minimum: How many examples the file must have.
    """
    if len(lines) < minimum:
        what = param.replace("_", " ").capitalize()
        message = f"{what} has {len(lines)} example(s), but must have at least {minimum} examples"
        return ApiFailure(message=message, code="invalid_n_examples", param=param)
    for number, line in enumerate(lines, start=1):
        reason = _find_in_example(line)
        if reason is not None:
            message = f"Invalid file format. Example {number} {reason}"
            return ApiFailure(message=message, code=f"invalid_{param}", param=param)
    return None


def count_file_tokens(lines: Sequence[dict[str, Any]]) -> int:
    """Count the tokens of all examples, once."""
    return sum(count_example_tokens(line["messages"]) for line in lines)


def _find_in_example(line: Any) -> str | None:
    if not isinstance(line, dict) or "messages" not in line:
        if isinstance(line, dict) and "preferred_output" in line:
            return "is a preference pair, but the job's method is supervised"
        return "has no messages: expected chat messages"
    problem = find_problem(line["messages"])
    if problem is not None:
        return f"cannot be read: {problem.where} {problem.reason}"
    messages: list[dict[str, Any]] = line["messages"]
    if messages[-1]["role"] != "assistant":
        return "does not end with a message from the assistant"
    for message in messages:
        reason = _find_in_weight(message) or _find_special_token(message)
        if reason is not None:
            return reason
    return None


def _find_in_weight(message: dict[str, Any]) -> str | None:
    if "weight" not in message:
        return None
    if message["role"] != "assistant":
        return f"has a weight on a message from the {message['role']}; only the assistant's may have one"
    weight = message["weight"]
    if isinstance(weight, bool) or weight not in (0, 1):
        return "has a weight other than 0 or 1"
    return None


def _find_special_token(message: dict[str, Any]) -> str | None:
    for text in message_texts(message):
        for token in SPECIAL_TOKENS:
            if token in text:
                return f"message contains an invalid token: {token}"
    return None
