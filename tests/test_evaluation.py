from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from judges import LetterEmbedding, RuleJudge

from llama_index_ft_rag.errors import ScoringError
from llama_index_ft_rag.scoring.evaluation import EvaluationScores, aevaluate, evaluate

COLUMNS: dict[str, list[Any]] = {
    "question": ["Why?", "How?"],
    "answer": ["Rome is old. Paris is big.", "Rome is old."],
    "contexts": [["Rome is old"], ["Rome is old", "x"]],
}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def _evaluate(dataset: object = COLUMNS, metrics: Any = ("faithfulness",), **kwargs: Any) -> EvaluationScores:
    llm = kwargs.pop("llm", None) or RuleJudge()
    return evaluate(dataset, metrics, llm, LetterEmbedding(), **kwargs)


def test_the_result_prints_like_the_one_of_the_post() -> None:
    """Means by metric, in the order asked, readable by name."""
    result = _evaluate(metrics=["faithfulness", "answer_relevancy"])

    assert result["faithfulness"] == 0.75
    assert repr(result) == f"{{'faithfulness': 0.75, 'answer_relevancy': {round(result['answer_relevancy'] or 0, 4)}}}"
    assert dict(result) == {metric: result[metric] for metric in ("faithfulness", "answer_relevancy")}
    assert len(result) == 2


def test_rows_that_could_not_be_scored_are_counted_and_in_no_mean() -> None:
    """An empty answer and a judge's failure are not zeros."""
    dataset = {**COLUMNS, "answer": [None, "Rome is old."]}

    result = _evaluate(dataset)

    assert repr(result) == "{'faithfulness': 1.0} (not scored, of 2 rows: faithfulness 1)"
    assert result.invalid == {"faithfulness": 1}
    assert result.scores == [{"faithfulness": None}, {"faithfulness": 1.0}]
    assert [row.invalid_reason for row in result.results["faithfulness"]] == ["there is no answer to score", None]


def test_without_a_single_score_there_is_no_mean() -> None:
    """Not 0, not NaN."""
    result = _evaluate({**COLUMNS, "answer": ["", ""]})

    assert (result["faithfulness"], result.ragas_score) == (None, None)
    assert repr(result) == "{'faithfulness': None} (not scored, of 2 rows: faithfulness 2)"


@pytest.mark.parametrize(
    ("answers", "ragas_score"), [(["Rome is old. No.", "Rome is old. No."], 0.5), (["No.", "No."], 0.0)]
)
def test_the_ragas_score_is_a_harmonic_mean(answers: list[str], ragas_score: float) -> None:
    """As the post's ragas printed it."""
    result = _evaluate({**COLUMNS, "answer": answers})

    assert (result.ragas_score, result["ragas_score"]) == (ragas_score, ragas_score)


def test_the_ragas_score_of_two_metrics_lies_between_them() -> None:
    """2ab / (a + b)."""
    result = _evaluate(metrics=["faithfulness", "answer_relevancy"])

    a, b = (mean or 0 for mean in result.values())
    assert result.ragas_score == pytest.approx(2 * a * b / (a + b))


def test_the_table_has_the_columns_of_the_post() -> None:
    """Question, answer, contexts, then the metrics in the order asked; NaN where there is no score."""
    pytest.importorskip("pandas")
    dataset = {**COLUMNS, "answer": ["", "Rome is old."], "ground_truths": [["a"], ["b", "c"]]}

    table = _evaluate(dataset, ["answer_relevancy", "faithfulness"]).to_pandas()

    assert list(table) == ["question", "answer", "contexts", "ground_truths", "answer_relevancy", "faithfulness"]
    assert table["contexts"].tolist() == COLUMNS["contexts"]
    assert math.isnan(table["faithfulness"][0])
    assert table["faithfulness"][1] == 1.0


@pytest.mark.parametrize("kind", ["columns", "rows", "new names", "dataframe", "datasets", "ragas"])
def test_every_usual_kind_of_dataset_gives_the_same_scores(kind: str) -> None:
    """Whoever has the data need not convert it."""
    result = _evaluate(_dataset(kind))

    assert result.scores == [{"faithfulness": 0.5}, {"faithfulness": 1.0}]


def test_metrics_may_be_the_old_objects_and_default_to_the_post_s_two() -> None:
    """`evaluate(dataset, [answer_relevancy, faithfulness])` works as it stands in the post."""

    class OldMetric:
        name = "faithfulness"

    assert list(_evaluate(metrics=[OldMetric()])) == ["faithfulness"]
    assert list(_evaluate(metrics=None)) == ["faithfulness", "answer_relevancy"]


async def test_evaluate_works_inside_a_running_loop() -> None:
    """As in a notebook; `aevaluate` is there for those who await."""
    awaited = await aevaluate(ROWS, ["faithfulness"], RuleJudge())

    assert _evaluate(ROWS).scores == awaited.scores


def test_progress_is_told_per_judgement() -> None:
    """A progress bar knows the total from the start."""
    seen: list[tuple[int, int]] = []

    _evaluate(concurrency=1, on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 2), (2, 2)]


def test_a_reference_is_handed_to_the_metrics_that_want_one() -> None:
    """The ground truths of a dataset reach a metric object that compares with them."""
    pytest.importorskip("ragas")
    from llama_index_ft_rag.scoring.ragas_library import load_ragas

    load_ragas()
    from ragas.metrics.collections import ExactMatch

    dataset = {"question": ["Why?", "How?"], "answer": ["a", "b"], "ground_truth": ["a", "c"]}

    assert _evaluate(dataset, [ExactMatch()]).scores == [{"exact_match": 1.0}, {"exact_match": 0.0}]


def test_answer_relevancy_needs_no_contexts() -> None:
    """A dataset without that column can be scored by it."""
    dataset = {"question": ["Why?"], "answer": ["Rome."]}

    assert _evaluate(dataset, ["answer_relevancy"]).invalid == {"answer_relevancy": 0}


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"question": ["a"]}, r"the dataset has no column 'answer'; it has \['question'\]"),
        (
            {"question": ["a"], "answer": ["b"]},
            r"no column 'contexts', which faithfulness needs; it has \['answer', 'question'\]",
        ),
        ({**COLUMNS, "answer": ["a"]}, "columns differ in length: .*'answer': 1.*; give one value per question"),
        ({"question": [], "answer": [], "contexts": []}, "the dataset has no rows"),
        ([], "the dataset has no column 'question'"),
        ({**COLUMNS, "contexts": ["a", "b"]}, "the contexts of row 0 are a str; give a list of texts"),
        ({**COLUMNS, "contexts": [[1], []]}, "the contexts of row 0 is a int, not a text"),
        ({**COLUMNS, "answer": [1, "b"]}, "the answer of row 0 is a int, not a text"),
        ({**COLUMNS, "question": ["a", None]}, "the question of row 1 is missing"),
        (["a"], "row 0 of the dataset is a str; pass mappings as rows"),
        (3, "a dataset of type int cannot be read; pass a mapping of columns"),
        (None, "a dataset of type NoneType cannot be read"),
    ],
)
def test_a_dataset_that_cannot_be_read_says_where(dataset: object, message: str) -> None:
    """One sentence, before any call is paid."""
    with pytest.raises(ScoringError, match=message):
        _evaluate(dataset)


def test_an_unknown_metric_is_refused() -> None:
    """A slip in a name does not cost a run."""
    with pytest.raises(ScoringError, match="metric 'faith' is not known"):
        _evaluate(metrics=["faith"])


def test_missing_values_of_a_dataframe_are_missing_answers() -> None:
    """NaN is how pandas says None."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({**COLUMNS, "answer": [math.nan, "Rome is old."]})

    assert _evaluate(frame).scores == [{"faithfulness": None}, {"faithfulness": 1.0}]


def test_a_table_without_pandas_says_what_to_install() -> None:
    """The scores are there all the same."""
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from llama_index_ft_rag.scoring.evaluation import EvaluationScores\n"
        "from llama_index_ft_rag.errors import MissingExtraError\n"
        "try: EvaluationScores([], {}).to_pandas()\n"
        "except MissingExtraError as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root())

    assert done.stdout.strip() == 'to_pandas() needs pandas: pip install "llama-index-ft-rag[ragas]"'


def test_the_post_s_own_table_can_be_made() -> None:
    """Its questions and answers, scored again, come as a table with its header."""
    folder = os.environ.get("FT_RAG_TEST_DATA")
    if not folder:
        pytest.skip("FT_RAG_TEST_DATA is not set: the post's tables are not at hand")
    pytest.importorskip("pandas")
    header, *rows = json.loads(Path(folder, "post", "extracted_ragas_tables.json").read_text())["47"]
    dataset = [{"question": row[1], "answer": row[2], "contexts": [row[3]]} for row in rows]

    result = _evaluate(dataset, ["answer_relevancy", "faithfulness"])

    assert list(result.to_pandas()) == header[1:]
    assert result.invalid == {"answer_relevancy": 0, "faithfulness": 0}


def _dataset(kind: str) -> object:
    if kind == "columns":
        return COLUMNS
    if kind == "rows":
        return ROWS
    new = dict(zip(("user_input", "response", "retrieved_contexts"), COLUMNS.values(), strict=True))
    if kind == "new names":
        return new
    if kind == "dataframe":
        return pytest.importorskip("pandas").DataFrame(COLUMNS)
    if kind == "datasets":
        return pytest.importorskip("datasets").Dataset.from_dict(COLUMNS)
    pytest.importorskip("ragas")
    from ragas import EvaluationDataset

    return EvaluationDataset.from_list([dict(zip(new, row, strict=True)) for row in zip(*new.values(), strict=True)])


def _root() -> Path:
    return Path(__file__).parent.parent
