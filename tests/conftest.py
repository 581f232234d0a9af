"""How cassettes are recorded and matched; everything else lives in the test modules."""

import re
from pathlib import Path

import pytest

CASSETTES = Path(__file__).parent.parent / "cassettes"

WHO_AND_WHERE = [
    "authorization",
    "cookie",
    "host",
    "openai-organization",
    "openai-project",
    "user-agent",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
]
"""Request headers that name a person, a machine or a version; vcrpy takes no wildcards."""


def pytest_recording_configure(config, vcr):
    """Teach vcrpy to compare uploads, whose boundary is random."""
    vcr.register_matcher("body_without_boundary", same_body)


@pytest.fixture(scope="module")
def vcr_config():
    """Match what decides the answer; keep out what identifies anybody."""
    return {
        "match_on": ["method", "path", "body_without_boundary"],
        "filter_headers": WHO_AND_WHERE,
        "before_record_response": without_identity,
    }


@pytest.fixture(scope="module")
def vcr_cassette_dir(request):
    """All cassettes lie in one folder at the top of the repository, one sub-folder per test module."""
    return str(CASSETTES / request.module.__name__)


def same_body(left, right):
    """Compare two requests' bodies, multipart boundaries aside."""
    bodies = [re.sub(rb"[0-9a-f]{32}", b"BOUNDARY", request.body or b"") for request in (left, right)]
    assert bodies[0] == bodies[1]


def without_identity(response):
    """Drop the headers of a reply that name an organisation, a session or a moment."""
    for name in list(response["headers"]):
        if name.lower() in {"set-cookie", "openai-organization", "openai-project", "x-request-id", "date", "server"}:
            del response["headers"][name]
    return response
