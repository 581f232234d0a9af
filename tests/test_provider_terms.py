from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from llama_index_ft_rag.price_files import is_day, is_month
from llama_index_ft_rag.provider_terms import TeacherTerms, teacher_terms

ENTRIES = json.loads(files("llama_index_ft_rag").joinpath("provider_terms.json").read_text(encoding="utf-8"))["terms"]


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ("gpt-4.1", "restricted"),
        ("openai/gpt-4o-mini", "restricted"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::x", "restricted"),
        ("gpt-35-turbo", "restricted"),
        ("o3-mini", "restricted"),
        ("gpt-oss:20b", "allowed"),
        ("openai/gpt-oss-120b", "allowed"),
        ("claude-sonnet-4-5", "forbidden"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "forbidden"),
        ("models/gemini-2.5-pro", "restricted"),
        ("google/gemma-3-27b-it", "restricted"),
        ("gemma4:31b", "allowed"),
        ("grok-4", "forbidden"),
        ("mistral-large-latest", "allowed"),
        ("mistralai/Mistral-Large-Instruct-2411", "restricted"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "restricted"),
        ("meta-llama/Llama-3.3-70B-Instruct", "restricted"),
        ("llama3.2:3b", "restricted"),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "restricted"),
        ("meta.llama3-1-70b-instruct-v1:0", "restricted"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "forbidden"),
        ("llama2", "forbidden"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "allowed"),
        ("Qwen/Qwen2.5-7B-Instruct", "allowed"),
        ("Qwen/Qwen2.5-72B-Instruct", "restricted"),
        ("qwen2.5:3b", "restricted"),
        ("deepseek-chat", "allowed"),
        ("deepseek-ai/DeepSeek-R1", "allowed"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "restricted"),
        ("qwen3-max", "unknown"),
        ("open-mistral-7b", "unknown"),
        ("command-r", "unknown"),
        ("my-deployment", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_teacher_is_found_by_any_of_its_names(model: str, verdict: str) -> None:
    """As its provider, a hub, a cloud or a local server writes it; what is not listed is not guessed."""
    assert teacher_terms(model).verdict == verdict


def test_what_is_known_has_a_source_and_a_date() -> None:
    """Answers of OpenAI's models may train OpenAI's models, and the note says where that is written."""
    assert teacher_terms("gpt-4.1") == TeacherTerms(
        verdict="restricted",
        note="The services agreement forbids developing models that compete with OpenAI on answers. It allows"
        " fine-tuning OpenAI's models at OpenAI, and models that sort or classify data and are not passed on."
        " Microsoft's terms, which hold at Azure, were not looked at.",
        source="https://openai.com/policies/services-agreement/",
        as_of="2026-01-01",
    )


def test_what_is_not_known_says_where_to_look() -> None:
    """There is no source, and no verdict either."""
    assert teacher_terms("my-deployment") == TeacherTerms(
        verdict="unknown", note="Not known: read the provider's terms."
    )


@pytest.mark.parametrize("model", ["offline-teacher", "ft:offline-student:ft-rag::0a1b2c3d"])
def test_the_offline_backend_may_teach(model: str) -> None:
    """Its readers belong to this package."""
    assert teacher_terms(model).verdict == "allowed"


def test_the_note_is_readable_and_calls_itself_a_note() -> None:
    """Model, verdict, reason, source and date; and that it is no legal advice."""
    assert teacher_terms("grok-4").render("grok-4") == (
        "Training on answers of grok-4: forbidden. The enterprise terms forbid training the customer's or its"
        " providers' models on answers. (https://x.ai/legal/terms-of-service-enterprise, as of 2025-06-27) A note, not"
        " legal advice."
    )
    assert teacher_terms("x").render("x") == (
        "Training on answers of x: unknown. Not known: read the provider's terms. A note, not legal advice."
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["models"][0])
def test_every_entry_can_be_checked(entry: dict[str, object]) -> None:
    """An address, a date, a verdict, a sentence, and patterns that are patterns."""
    assert re.match(r"https://\S+$", str(entry["source"]))
    assert is_day(entry["as_of"]) or is_month(entry["as_of"])
    assert entry["verdict"] in ("allowed", "restricted", "forbidden")
    assert str(entry["note"]).endswith(".")
    assert all(re.compile(str(pattern)) for pattern in entry["models"])  # type: ignore[attr-defined]


def test_the_page_shows_every_entry() -> None:
    """The table of the docs has the verdicts, dates and sources of the data, in their order."""
    page = (Path(__file__).resolve().parent.parent / "docs" / "prices.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| (\w+) \| \[([^]]+)\]\((https://\S+)\) \|$", page, re.MULTILINE)

    assert rows == [(entry["verdict"], entry["as_of"], entry["source"]) for entry in ENTRIES]
