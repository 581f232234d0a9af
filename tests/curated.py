"""Examples as apps record them, made in one line, and the real ones in the folder of test data."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT, CHAT_TEXT_QA_PROMPT

from llama_index_ft_rag.examples import TrainingExample
from llama_index_ft_rag.recording.call_kinds import UNKNOWN_PLACE, kind_answered

DATA = Path(os.environ.get("FT_RAG_TEST_DATA") or ".")
EVENTS = DATA / "post" / "llm-finetuning_finetuning_events.jsonl"
"""The training file of the blog post of 2023: 65 answers of gpt-4."""
needs_data = pytest.mark.skipif(
    "FT_RAG_TEST_DATA" not in os.environ, reason="FT_RAG_TEST_DATA names no folder with the data of the tests"
)

DECLINED = "The context does not provide information on this."
DRAFT = "Revenue rose to 12 million in fiscal 2022."


def taught(question: str, answer: Any, **facts: Any) -> TrainingExample:
    """A question without a prompt around it, and its finished answer."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return TrainingExample(messages=messages, **{"finish_reason": "stop", **facts})


def answered(question: str, answer: Any, *, context: str = "A passage.", **facts: Any) -> TrainingExample:
    """A question in the prompt in which LlamaIndex asks a chat model."""
    asked = wire(CHAT_TEXT_QA_PROMPT, query_str=question, context_str=context)
    return _call(asked, answer, **{"kind": "answer", **facts})


def refined(question: str, answer: Any, *, draft: str, context: str = "More.", **facts: Any) -> TrainingExample:
    """A draft in the prompt in which LlamaIndex has a chat model refine it."""
    asked = wire(CHAT_REFINE_PROMPT, query_str=question, existing_answer=draft, context_msg=context)
    return _call(asked, answer, **{"kind": "refine", **facts})


def wire(prompt: BasePromptTemplate, **values: str) -> list[dict[str, Any]]:
    """A prompt of LlamaIndex as it goes over the wire."""
    return [{"role": message.role.value, "content": message.content} for message in prompt.format_messages(**values)]


def _call(asked: list[dict[str, Any]], answer: Any, **facts: Any) -> TrainingExample:
    messages = [*asked, {"role": "assistant", "content": answer}]
    return TrainingExample(messages=messages, **{"finish_reason": "stop", **facts})


def recorded(name: str, *, place: int = 0) -> TrainingExample:
    """A call that once went over the wire, as the recorder keeps one, by the file and its place therein."""
    recording = yaml.safe_load((DATA / "recordings" / f"{name}.yaml").read_text(encoding="utf-8"))
    interaction = recording["interactions"][place]
    request = json.loads(interaction["request"]["body"])
    response = interaction["response"]
    body = response["body"]["string"] if "body" in response else response["content"]
    body = body if isinstance(body, bytes) else body.encode()
    text = (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    choices = [json.loads(part)["choices"][0] for part in lines or [text]]
    answer = choices[0].get("message") or {
        "role": "assistant",
        "content": "".join(choice["delta"].get("content") or "" for choice in choices),
    }
    return TrainingExample(
        messages=[*request["messages"], answer],
        tools=request.get("tools"),
        finish_reason=choices[-1].get("finish_reason"),
        kind=kind_answered(answer, place=UNKNOWN_PLACE),
    )


def table_rows(model: str) -> list[tuple[str, str, float]]:
    """Question, answer as far as it was printed, and faithfulness of 36 rows of the post, for `base` or `tuned`."""
    tables = json.loads((DATA / "post" / "extracted_ragas_tables.json").read_text(encoding="utf-8"))
    rows = tables[{"base": "23", "tuned": "47"}[model]][1:]
    return [(question, answer, float(faithfulness)) for _, question, answer, _, _, faithfulness in rows]
