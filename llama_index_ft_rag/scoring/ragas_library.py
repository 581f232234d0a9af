"""The only place that imports ragas: quietly, on first use, and without its telemetry.

In: nothing. Out: the few classes of ragas that this package uses, which then accept our judge as theirs.
Knows nothing of what is measured with them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from llama_index_ft_rag.errors import MissingExtraError
from llama_index_ft_rag.scoring.judge import JudgeEmbedding, JudgeLLM, WatchedLLM

_VERTEX_MODULE = "langchain_community.chat_models.vertexai"


@dataclass(frozen=True, kw_only=True)
class Ragas:
    """What this package uses of ragas; untyped there, so typed `Any` here."""

    version: str
    metric_class: Any
    prompt_class: Any
    faithfulness: Any
    answer_relevancy: Any
    statements_reply: Any
    verdicts_reply: Any
    question_reply: Any

    def renders_plainly(self, prompt: object) -> bool:
        """Whether a value is a ragas prompt whose text is the same for every case but for the input."""
        return isinstance(prompt, self.prompt_class) and type(prompt).to_string is self.prompt_class.to_string


@lru_cache(maxsize=1)
def load_ragas() -> Ragas:
    """Import ragas (seconds, and hundreds of modules) without its telemetry and its import-time warnings.

    Raises:
        MissingExtraError: If it is not installed or cannot be imported.
    """
    # ragas posts usage synchronously on the event loop, per call, unless told not to before its first import.
    os.environ.setdefault("RAGAS_DO_NOT_TRACK", "true")
    try:
        with warnings.catch_warnings(), _vertex_stand_in():
            warnings.simplefilter("ignore")
            return _import_ragas()
    except ImportError as exc:
        raise MissingExtraError("scoring with ragas", extra="ragas", missing=exc.name or "ragas") from exc


def check_installed() -> None:
    """Find out in no time whether ragas can be there, without importing it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    if _is_missing("ragas"):
        raise MissingExtraError("scoring with ragas", extra="ragas", missing="ragas")


def _import_ragas() -> Ragas:
    import ragas
    from ragas.embeddings.base import BaseRagasEmbedding
    from ragas.llms.base import InstructorBaseRagasLLM
    from ragas.metrics.base import SimpleBaseMetric
    from ragas.metrics.collections import AnswerRelevancy, Faithfulness
    from ragas.metrics.collections.answer_relevancy.util import AnswerRelevanceOutput
    from ragas.metrics.collections.faithfulness.util import NLIStatementOutput, StatementGeneratorOutput
    from ragas.prompt.metrics.base_prompt import BasePrompt

    InstructorBaseRagasLLM.register(JudgeLLM)
    InstructorBaseRagasLLM.register(WatchedLLM)
    BaseRagasEmbedding.register(JudgeEmbedding)
    return Ragas(
        version=str(ragas.__version__),
        metric_class=SimpleBaseMetric,
        prompt_class=BasePrompt,
        faithfulness=Faithfulness,
        answer_relevancy=AnswerRelevancy,
        statements_reply=StatementGeneratorOutput,
        verdicts_reply=NLIStatementOutput,
        question_reply=AnswerRelevanceOutput,
    )


@contextmanager
def _vertex_stand_in() -> Iterator[None]:
    # ragas 0.4.3 names ChatVertexAI in a list; langchain-community 0.4.2 dropped its module (2026-05).
    if not _is_missing(_VERTEX_MODULE):
        yield
        return
    module = ModuleType(_VERTEX_MODULE)
    module.__dict__["ChatVertexAI"] = type("ChatVertexAI", (), {})
    sys.modules[_VERTEX_MODULE] = module
    try:
        yield
    finally:
        sys.modules.pop(_VERTEX_MODULE, None)


def _is_missing(module: str) -> bool:
    try:
        return module not in sys.modules and importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True
