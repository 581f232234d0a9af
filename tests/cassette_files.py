"""How cassettes are recorded, what they say of themselves, and what is compared and scrubbed in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from vcr.serializers import yamlserializer

CASSETTES = Path(os.environ.get("FT_RAG_CASSETTES") or Path(__file__).parents[1] / "cassettes")
"""The variable points the tests at a copy, so that a cassette can be taken away from it."""
OFFLINE_PORT = 8321
"""Fixed while recording, because the address is part of what the run folder keeps."""
OFFLINE_SOURCE = "the built-in offline backend of llama-index-ft-rag: toy models, not a recording of OpenAI"
OFFLINE_MODELS = {
    "teacher": "offline-teacher",
    "student": "offline-student",
    "judge": "offline-judge",
    "embedding": "offline-embedding",
}
MATCHED = ["method", "path", "query", "body_by_value"]

# Everything else of a request or a reply may name a person, a machine, an organisation, a version or a moment.
KEPT_HEADERS = re.compile(r"accept|content-type|retry-after(-ms)?|x-ratelimit-.*", re.IGNORECASE)
# Their id, and their name in that of a tuned model; the offline backend's own are no secret.
ORGANISATION_ID = re.compile(rb"\borg-(?!offline\b)[A-Za-z0-9]+")
ORGANISATION_NAME = re.compile(rb"\b(ft:[^:\s\"]+:)(?!ft-rag:)[^:\s\"]+:")
SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{6,}|\bBearer |authorization|cookie|user-agent|x-stainless|openai-organization|openai-project"
    r"|\borg-(?!(scrubbed|offline)\b)[A-Za-z0-9]|\bft:[^:\s\"]+:(?!(scrubbed|ft-rag):)[^:\s\"]+:|not-recorded",
    re.IGNORECASE,
)
"""What no cassette may hold."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a cassette was recorded from, or is being recorded from now."""

    recorded_from: str
    url: str
    models: Mapping[str, str]
    """Model names by role."""
    key: str = field(default="not-recorded", repr=False)
    """The service's key; stated in no cassette."""

    @property
    def is_offline(self) -> bool:
        """Whether the offline backend answered."""
        return self.recorded_from == OFFLINE_SOURCE

    @classmethod
    def offline(cls, models: Mapping[str, str] | None = None) -> Source:
        """The offline backend, with its own models or, where a test scripts it, with others."""
        return cls(
            recorded_from=OFFLINE_SOURCE, url=f"http://127.0.0.1:{OFFLINE_PORT}/v1", models=models or OFFLINE_MODELS
        )

    @classmethod
    def of_cassette(cls, path: str | Path) -> Source:
        """Read what a cassette says of itself; one that is gone is taken for an offline one."""
        if not Path(path).is_file():
            return cls.offline()
        # The head alone: a whole cassette takes a while to parse.
        head = Path(path).read_text(encoding="utf-8").partition("interactions:")[0]
        return cls(**yaml.safe_load(head)["source"])

    @classmethod
    def from_environment(cls) -> Source:
        """OpenAI, with the models and the key that the environment names."""
        names = {role: f"FT_RAG_CASSETTE_{role.upper()}" for role in OFFLINE_MODELS}
        missing = [name for name in (*names.values(), "OPENAI_API_KEY") if not os.environ.get(name)]
        if missing:
            raise pytest.UsageError(f"to record from OpenAI, set {', '.join(missing)}; see cassettes/README.md")
        return cls(
            recorded_from="OpenAI",
            url="https://api.openai.com/v1",
            models={role: os.environ[name] for role, name in names.items()},
            key=os.environ["OPENAI_API_KEY"],
        )


class StatingSerializer:
    """Writes cassettes as YAML that says in its first lines what it was recorded from."""

    def __init__(self, source: Callable[[], Source]) -> None:
        self._source = source

    def deserialize(self, text: str) -> Any:
        """Read a cassette."""
        return yamlserializer.deserialize(text)

    def serialize(self, cassette: Mapping[str, Any]) -> str:
        """Write a cassette."""
        source = self._source()
        stated = {"recorded_from": source.recorded_from, "url": source.url, "models": dict(source.models)}
        head = yaml.safe_dump({"source": stated}, sort_keys=False, width=120)
        return head + yamlserializer.serialize(dict(cassette))


def service_to_record() -> str:
    """Name the service that `make cassettes` records from: `offline`, or `openai`, which costs money."""
    name = os.environ.get("FT_RAG_CASSETTE_BACKEND") or "offline"
    if name not in ("offline", "openai"):
        raise pytest.UsageError(f"BACKEND={name}: cassettes are recorded from 'offline' or 'openai'")
    return name


def without_identity(message: Any) -> Any:
    """Scrub a request or a reply: only the headers that matter stay, and no organisation is named."""
    is_reply = isinstance(message, dict)
    headers = message["headers"] if is_reply else message.headers
    for name in list(headers):
        if not KEPT_HEADERS.fullmatch(name):
            del headers[name]
    if is_reply:
        message["body"]["string"] = _without_organisation(message["body"]["string"])
    else:
        message.uri = _without_organisation(message.uri.encode()).decode()
        message.body = _without_organisation(_without_boundary(message))
    return message


def _without_boundary(request: Any) -> bytes:
    """The body of a request; that of a form gets a boundary that is the same in every recording."""
    body: bytes = request.body or b""
    kind = _content_type(request)
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if boundary is None:
        return body
    request.headers["Content-Type"] = kind.replace(boundary.group(1), "boundary")
    return body.replace(boundary.group(1).encode(), b"boundary")


def _content_type(request: Any) -> str:
    kind = request.headers.get("Content-Type") or ""
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _without_organisation(text: bytes) -> bytes:
    return ORGANISATION_NAME.sub(rb"\1scrubbed:", ORGANISATION_ID.sub(b"org-scrubbed", text))


def same_body(left: Any, right: Any) -> None:
    """Compare the bodies of two requests, JSON by its value."""
    assert _comparable(left) == _comparable(right)


def _comparable(request: Any) -> Any:
    body: bytes = request.body or b""
    return json.loads(body or b"null") if _content_type(request).startswith("application/json") else body
