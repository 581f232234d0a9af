"""The parts that the content of a message may have: text, images, sound, files.

In: what JSON held in place of a text. Out: the first thing wrong with it, or nothing. An image is an address or
its own data; nobody fetches or decodes it. Knows nothing of who asks, and not what the parts say.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import Any

DETAILS = ("auto", "low", "high", "original")

PART_TYPES = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
}
"""By role; other roles have texts only."""

_WEB_ADDRESS = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_DATA_ADDRESS = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class MessageProblem:
    """What is wrong with a list of messages."""

    where: str
    """`messages`, or `messages[2].content`."""
    reason: str
    """Continues a sentence that begins with `where`: "is missing"."""


def find_in_parts(content: Any, where: str, *, role: str) -> MessageProblem | None:
    """Return the first thing wrong with a content in parts, or `None`."""
    if not isinstance(content, list) or not content:
        return MessageProblem(where=where, reason="must be a text or a list of parts")
    allowed = PART_TYPES.get(role, ("text",))
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            return MessageProblem(where=place, reason="must be an object with a type")
        if part["type"] not in allowed:
            reason = f"must be {' or '.join(allowed)} in a message from the {role}"
            return MessageProblem(where=f"{place}.type", reason=reason)
        problem = _find_in_part(part, place)
        if problem is not None:
            return problem
    return None


def find_in_address(address: Any, where: str) -> MessageProblem | None:
    """Return what is wrong with the address of an image, or `None`."""
    if not isinstance(address, str):
        return MessageProblem(where=where, reason="must be a text")
    data = _DATA_ADDRESS.match(address)
    if data is None:
        if _WEB_ADDRESS.match(address):
            return None
        return MessageProblem(where=where, reason="must begin with https://, or with data:image/...;base64,")
    try:
        decoded = binascii.a2b_base64(address[data.end() :].encode("ascii"))
    except ValueError:
        decoded = b""
    return None if decoded else MessageProblem(where=where, reason="is not an image in base64")


def _find_in_part(part: dict[str, Any], where: str) -> MessageProblem | None:
    match part["type"]:
        case "image_url":
            return _find_in_image(part.get("image_url"), f"{where}.image_url")
        case "input_audio":
            return _find_in_audio(part.get("input_audio"), f"{where}.input_audio")
        case "file":
            if not isinstance(part.get("file"), dict):
                return MessageProblem(where=f"{where}.file", reason="must be an object")
            return None
        case name:
            if not isinstance(part.get(name), str):
                return MessageProblem(where=f"{where}.{name}", reason="must be a text")
            return None


def _find_in_image(image: Any, where: str) -> MessageProblem | None:
    if not isinstance(image, dict):
        return MessageProblem(where=where, reason="must be an object with a url")
    if image.get("detail") is not None and image["detail"] not in DETAILS:
        return MessageProblem(where=f"{where}.detail", reason=f"must be one of {', '.join(DETAILS)}")
    return find_in_address(image.get("url"), f"{where}.url")


def _find_in_audio(audio: Any, where: str) -> MessageProblem | None:
    if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
        return MessageProblem(where=where, reason="must be an object with data")
    if audio.get("format") not in ("wav", "mp3"):
        return MessageProblem(where=f"{where}.format", reason="must be wav or mp3")
    return None
