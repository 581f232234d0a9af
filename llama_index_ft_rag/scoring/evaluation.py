"""`evaluate(dataset, metrics)`: the call that the 2023 post made to ragas, with a result that prints like it.

In: questions, answers and contexts as columns, rows, a pandas DataFrame or a `datasets.Dataset`. Out:
`EvaluationScores`: a mean per metric over what could be scored, and how much could not. Knows nothing of
arms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM

from llama_index_ft_rag.concurrency import OnProgress, map_bounded, run_sync
from llama_index_ft_rag.errors import MissingExtraError, ScoringError
from llama_index_ft_rag.scoring.evaluator import RagasEvaluationResult, RagasEvaluator
from llama_index_ft_rag.scoring.ragas_metrics import METRIC_NAMES

_COLUMN_NAMES = {
    "question": ("question", "user_input"),
    "answer": ("answer", "response"),
    "contexts": ("contexts", "retrieved_contexts"),
    "ground_truths": ("ground_truths", "ground_truth", "reference"),
}
"""Our name of each column, and what the versions of ragas have called it."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """One row of a dataset to evaluate."""

    question: str
    answer: str | None
    """`None` where there is none: the row counts as not scored."""
    contexts: tuple[str, ...] = ()
    ground_truths: tuple[str, ...] = ()


class EvaluationScores(Mapping[str, "float | None"]):
    """Mean score per metric, over the rows that could be scored; `None` where none could.

    Prints like the result of ragas, and says behind it how many rows are in no mean.
    """

    def __init__(self, rows: Sequence[EvaluationRow], results: Mapping[str, Sequence[RagasEvaluationResult]]) -> None:
        self._rows = tuple(rows)
        self.results = {metric: tuple(column) for metric, column in results.items()}
        """Each metric's results, row by row, with reasons, statements and what the judge was asked."""

    @property
    def scores(self) -> list[dict[str, float | None]]:
        """One mapping of metric to score per row; `None` is "could not be scored"."""
        return [
            {metric: column[index].score for metric, column in self.results.items()} for index in range(len(self._rows))
        ]

    @property
    def invalid(self) -> dict[str, int]:
        """How many rows could not be scored, per metric; they are in no mean."""
        return {metric: sum(result.invalid_result for result in column) for metric, column in self.results.items()}

    @property
    def ragas_score(self) -> float | None:
        """Harmonic mean of the metrics' means, as in 2023; `None` where one is missing or below 0."""
        means = list(self.values())
        present = [mean for mean in means if mean is not None and mean >= 0]
        if not present or len(present) < len(means):
            return None
        return 0.0 if 0 in present else len(present) / sum(1 / mean for mean in present)

    def to_pandas(self) -> Any:
        """Return a DataFrame with question, answer, contexts and one column per metric, NaN where not scored.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as exc:
            raise MissingExtraError("to_pandas()", extra="ragas", missing="pandas") from exc
        columns: dict[str, Any] = {
            "question": [row.question for row in self._rows],
            "answer": [row.answer for row in self._rows],
            "contexts": [list(row.contexts) for row in self._rows],
        }
        if any(row.ground_truths for row in self._rows):
            columns["ground_truths"] = [list(row.ground_truths) for row in self._rows]
        for metric, column in self.results.items():
            columns[metric] = pd.Series([result.score for result in column], dtype="float64")
        return pd.DataFrame(columns)

    def __getitem__(self, metric: str) -> float | None:
        if metric == "ragas_score":
            return self.ragas_score
        valid = [result.score for result in self.results[metric] if result.score is not None]
        return sum(valid) / len(valid) if valid else None

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        means = {metric: None if mean is None else round(mean, 4) for metric, mean in self.items()}
        gaps = [f"{metric} {count}" for metric, count in self.invalid.items() if count]
        if not gaps:
            return str(means)
        return f"{means} (not scored, of {len(self._rows)} rows: {', '.join(gaps)})"


def evaluate(
    dataset: object,
    metrics: Sequence[str | object] | None = None,
    llm: LLM | None = None,
    embeddings: BaseEmbedding | None = None,
    *,
    concurrency: int = 8,
    timeout: float = 120.0,
    on_progress: OnProgress | None = None,
) -> EvaluationScores:
    """Score a dataset; works in a script, in a notebook and inside a running event loop.

    Args:
        dataset: A mapping of columns, a list of rows, a DataFrame or a `datasets.Dataset`, with question,
            answer, contexts and perhaps ground_truths, or the newer user_input, response, retrieved_contexts.
        metrics: Names, metric objects with such a name, or metric objects of `ragas.metrics.collections`;
            faithfulness and answer_relevancy if not given.
        llm: The judge; `Settings.llm` if not given.
        embeddings: The embedding model for answer relevancy; `Settings.embed_model` if not given.
        concurrency: How many judgements are under way at once.
        timeout: Seconds after which one judgement is given up.
        on_progress: Called after each judgement.

    Raises:
        MissingExtraError: If ragas is not installed.
        ScoringError: If a column is missing, columns differ in length, or a metric is not known.
    """
    return run_sync(
        aevaluate(
            dataset,
            metrics,
            llm,
            embeddings,
            concurrency=concurrency,
            timeout=timeout,
            on_progress=on_progress,
        )
    )


async def aevaluate(
    dataset: object,
    metrics: Sequence[str | object] | None = None,
    llm: LLM | None = None,
    embeddings: BaseEmbedding | None = None,
    *,
    concurrency: int = 8,
    timeout: float = 120.0,
    on_progress: OnProgress | None = None,
) -> EvaluationScores:
    """Do what `evaluate` does, from asynchronous code."""
    evaluators = RagasEvaluator.suite(METRIC_NAMES if metrics is None else metrics, llm, embeddings, timeout=timeout)
    needs_contexts = [name for name, evaluator in evaluators.items() if evaluator.needs_contexts]
    rows = read_rows_of(dataset, contexts_for=needs_contexts[0] if needs_contexts else None)

    async def one(work: tuple[RagasEvaluator, EvaluationRow]) -> RagasEvaluationResult:
        evaluator, row = work
        reference = "\n".join(row.ground_truths) or None
        return await evaluator.aevaluate(row.question, row.answer, row.contexts, reference=reference)

    work = [(evaluator, row) for evaluator in evaluators.values() for row in rows]
    results = await map_bounded(one, work, limit=concurrency, on_progress=on_progress)
    count = len(rows)
    return EvaluationScores(rows, {name: results[i * count : (i + 1) * count] for i, name in enumerate(evaluators)})


def read_rows_of(dataset: object, *, contexts_for: str | None) -> list[EvaluationRow]:
    """Read the rows of a dataset of any accepted kind.

    Args:
        dataset: As `evaluate` takes it.
        contexts_for: Name of a metric that needs the contexts; without one the column may be missing.

    Raises:
        ScoringError: If a column is missing, columns differ in length, or a value is of the wrong kind.
    """
    columns = _columns(dataset)
    found = {name: _find(columns, names) for name, names in _COLUMN_NAMES.items()}
    for name in ("question", "answer", "contexts"):
        if found[name] is None and (name != "contexts" or contexts_for is not None):
            why = f", which {contexts_for} needs" if name == "contexts" else ""
            raise ScoringError(f"the dataset has no column {name!r}{why}; it has {sorted(map(str, columns))}")
    present = {name: column for name, column in found.items() if column is not None}
    lengths = {name: len(column) for name, column in present.items()}
    if len(set(lengths.values())) != 1:
        raise ScoringError(f"the dataset's columns differ in length: {lengths}; give one value per question")
    count = lengths["question"]
    if count == 0:
        raise ScoringError("the dataset has no rows; give at least one question with its answer")
    return [_row({name: column[i] for name, column in present.items()}, i) for i in range(count)]


def _columns(dataset: Any) -> dict[str, list[Any]]:
    if isinstance(dataset, Mapping):
        return {str(name): list(column) for name, column in dataset.items()}
    if hasattr(dataset, "to_dict") and hasattr(dataset, "iloc"):  # a pandas DataFrame
        return _columns(dataset.to_dict(orient="list"))
    if hasattr(dataset, "to_list"):  # a datasets.Dataset or a ragas EvaluationDataset
        return _columns(dataset.to_list())
    if not isinstance(dataset, (list, tuple)):
        raise ScoringError(
            f"a dataset of type {type(dataset).__name__} cannot be read; pass a mapping of columns, a list "
            "of rows, a DataFrame or a datasets.Dataset"
        )
    names = list(dict.fromkeys(name for row in dataset if isinstance(row, Mapping) for name in row))
    for index, row in enumerate(dataset):
        if not isinstance(row, Mapping):
            raise ScoringError(f"row {index} of the dataset is a {type(row).__name__}; pass mappings as rows")
    return {name: [row.get(name) for row in dataset] for name in names}


def _find(columns: Mapping[str, list[Any]], names: Sequence[str]) -> list[Any] | None:
    return next((columns[name] for name in names if name in columns), None)


def _row(values: Mapping[str, Any], index: int) -> EvaluationRow:
    question = _text(values["question"], f"question of row {index}")
    if question is None:
        raise ScoringError(f"the question of row {index} is missing; give one for each row")
    ground_truths = values.get("ground_truths")
    return EvaluationRow(
        question=question,
        answer=_text(values["answer"], f"answer of row {index}"),
        contexts=_texts(values.get("contexts"), f"contexts of row {index}"),
        ground_truths=_texts(
            [ground_truths] if isinstance(ground_truths, str) else ground_truths,
            f"ground truths of row {index}",
        ),
    )


def _text(value: Any, where: str) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str):
        raise ScoringError(f"the {where} is a {type(value).__name__}, not a text; give a text")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ()
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        raise ScoringError(f"the {where} are a {type(value).__name__}; give a list of texts")
    return tuple(text for item in value if (text := _text(item, where)) is not None)
