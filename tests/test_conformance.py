"""How near the offline backend is to the API as published: one test per witness, and the table of what they say.

The table is printed at the end of a run. A cell that is red, or missing, fails the test of its witness.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from conformance import recording_witness
from conformance.client_witness import ALSO_NEEDED, ends_of_the_declared_range, make_calls, witness
from conformance.explanations import Explanation, Explanations
from conformance.shapes import courses, differences, shape_of
from conformance.stage import served_operations
from conformance.table import PROPERTY, Cell, Column, cell_of, columns_of, render, skipped_column
from fresh_environments import NO_REGISTRY, Environment, build_wheel, make_environment

DATA = os.environ.get("FT_RAG_TEST_DATA")
NO_DATA = "FT_RAG_TEST_DATA names no folder with the data of the tests"
RECORDINGS = Path(DATA or ".") / "recordings"
DESCRIPTION = Path(DATA or ".").parent / "openapi" / "openai-trimmed.yaml"
HERE = Environment(python=Path(sys.executable))


@dataclass(frozen=True, kw_only=True)
class Say:
    """How a witness speaks."""

    record: Callable[[str, object], None]

    def __call__(self, column: Column) -> None:
        """Put a column into the table; fail if something in it is red or missing."""
        self.record(PROPERTY, column.to_dict())
        assert column.problems(served_operations()) == []

    def nothing(self, witness: str, why: str) -> NoReturn:
        """Put a column of skipped cells into the table, and skip the test."""
        self(skipped_column(witness, served_operations(), why=why))
        pytest.skip(why)


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """The way into the table."""
    return Say(record=record_property)


def test_answers_have_the_published_shape(say: Say, tmp_path: Path) -> None:
    """What is asked as the API's description has it is answered as it says; nothing that is asked is a 500."""
    if not DATA:
        say.nothing("schema", NO_DATA)
    if not DESCRIPTION.exists():
        say.nothing("schema", "beside the folder of test data there is no openapi/openai-trimmed.yaml")
    if importlib.util.find_spec("schemathesis") is None:
        say.nothing("schema", "schemathesis is not installed: it needs Python 3.11")

    said = HERE.run(
        *("-W", "error", "-m", "conformance.schema_witness", str(DESCRIPTION)),
        cwd=Path(__file__).parent,
        variables={"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
    )

    say(Column.from_dict(json.loads(said)))


def test_answers_have_the_recorded_shape(say: Say) -> None:
    """What was once asked of the real service is answered here with the same keys, types, codes and chunks."""
    if not DATA:
        say.nothing("recordings", NO_DATA)
    if not RECORDINGS.exists():
        say.nothing("recordings", "the folder of test data holds no recordings")

    say(recording_witness.witness(RECORDINGS))


def test_the_installed_client_calls_all_that_is_served(say: Say) -> None:
    """Sync and async, through both doors, each method of openai works on the operations that are served."""
    found = make_calls(HERE)

    assert found["uncalled"] == []
    say(witness(f"openai {found['openai']}, installed", found))


@pytest.mark.parametrize("end", ["lowest", "newest"])
def test_the_clients_at_the_ends_of_the_declared_range_do_too(say: Say, end: str, tmp_path: Path) -> None:
    """The lowest openai that the package declares, and the newest, are served as well as the installed one."""
    wanted = ends_of_the_declared_range()[end]
    if NO_REGISTRY is not None:
        say.nothing(wanted, NO_REGISTRY)

    environment = make_environment(tmp_path / "environment")
    environment.install(wanted, *ALSO_NEEDED)
    environment.install("--no-deps", str(build_wheel(tmp_path)))
    found = make_calls(environment)

    say(witness(f"openai {found['openai']}, {end}", found))


def test_the_table_shows_each_cell_and_numbers_its_notes() -> None:
    """Columns come in the order of their names, equal notes have one number, and a missing cell is red."""
    columns = [
        skipped_column("schema", ["GET /v1/a", "POST /v1/a"], why="no file"),
        Column(
            witness="client",
            cells={"GET /v1/a": cell_of(), "POST /v1/a": cell_of(explained=["old"]), "GET /v1/b": cell_of()},
        ),
    ]

    assert render(columns) == [
        "operation   schema     client",
        "GET /v1/a   skipped 1  ok",
        "POST /v1/a  skipped 1  explained 2",
        "GET /v1/b   RED 3      ok",
        "",
        "1  no file",
        "2  old",
        "3  no cell",
    ]


def test_columns_come_back_from_the_reports_of_tests() -> None:
    """A column survives the way through another process as plain data; other properties are left alone."""

    @dataclass
    class Report:
        user_properties: list[tuple[str, object]]

    column = Column(witness="w", cells={"GET /v1/a": cell_of(problems=["wrong", "worse"])})
    sent = json.loads(json.dumps(column.to_dict()))

    assert columns_of([Report([("other", 1), (PROPERTY, sent)]), Report([]), object()]) == [column]
    assert column.problems(["GET /v1/a", "GET /v1/b"]) == ["GET /v1/a: wrong", "GET /v1/a: worse", "GET /v1/b: no cell"]
    assert column.cells["GET /v1/a"] == Cell(verdict="RED", notes=("wrong", "worse"))


def test_an_explanation_holds_for_what_it_says_and_no_more() -> None:
    """It is of no use elsewhere or otherwise, and what is listed but never seen is red."""
    explanations = Explanations(
        [
            Explanation(
                reason="r",
                departures=("no a", "no b"),
                places=("GET /v1/a", "GET /v1/b"),
                when=lambda seen: seen == "old",
            )
        ]
    )

    assert explanations.reason("no a", place="GET /v1/a", evidence="old") == "r"
    assert explanations.reason("no a", place="GET /v1/a", evidence="new") is None
    assert explanations.reason("no a", place="POST /v1/a", evidence="old") is None
    assert explanations.reason("no c", place="GET /v1/a", evidence="old") is None
    idle = Cell(verdict="RED", notes=("nothing needs it; remove it from 'r'",))
    assert explanations.idle() == {"explained: no b": idle, "explained: GET /v1/b": idle}


def test_shapes_differ_by_keys_and_types() -> None:
    """A missing key is told once, without what is inside it; null goes with every type, an empty list with any."""
    recorded = shape_of({"a": {"b": {"c": 1}}, "d": [{"e": 1.5}], "f": "text", "g": None, "h": {"i": 1}, "j": [1]})
    ours = shape_of({"a": {}, "d": [{"e": 2}, {"k": True}], "f": 1, "g": [1], "h": None, "j": []})

    assert differences(recorded, ours) == ["no a.b", "f is number, not string", "no j[]"]


def test_the_course_of_a_stream() -> None:
    """Repeated kinds of chunks count once, each choice for itself, and the usage comes last."""

    def chunk(index: int, **delta: object) -> dict[str, object]:
        return {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}

    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    call = {"tool_calls": [{"id": "c1"}]}
    chunks = [{"choices": []}, chunk(1, role="assistant", **call), chunk(0, content="a"), chunk(0, content="b"), end]

    assert courses(chunks) == ["text, end", "role with tool call", "usage"]
