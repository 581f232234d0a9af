"""The report of a run: one result, shown in the terminal, as markdown, JSON, HTML, and in a notebook.

In: a comparison (or none, where a run was not evaluated) and the facts of the run. Out: text, and files in a
folder. Knows nothing of how a comparison was computed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llama_index_ft_rag.comparison import Comparison
from llama_index_ft_rag.hostile_text import without_surrogates
from llama_index_ft_rag.report.html import notebook_frame, render_html
from llama_index_ft_rag.report.run_facts import JobFacts, LossPoint, RunFacts
from llama_index_ft_rag.report.text import render_markdown, render_terminal
from llama_index_ft_rag.report.view import ReportView, build_view
from llama_index_ft_rag.storage import make_private_folder, write_text

__all__ = ["JobFacts", "LossPoint", "Report", "RunFacts", "write_report"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Report:
    """What a run found out, ready to be shown."""

    comparison: Comparison | None
    """`None`: the run trained a model and compared nothing."""
    run: RunFacts = field(default_factory=RunFacts)

    def render(self, *, width: int = 80, color: bool = False) -> str:
        """Return the report for a terminal `width` columns wide, plain unless `color` is asked for.

        Raises:
            MissingExtraError: If rich is not installed.
        """
        return render_terminal(self._view, width=width, color=color)

    def to_markdown(self) -> str:
        """Return the report as GitHub-flavoured markdown, without the answers."""
        return render_markdown(self._view)

    def to_html(self) -> str:
        """Return the report as one HTML page that needs nothing else: no network, no script.

        Raises:
            MissingExtraError: If jinja2 is not installed.
        """
        return render_html(self._view, self.comparison, self.run)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, every question among it, as JSON-able values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "notices": list(self._view.notices),
            "verdict": self._view.verdict,
            "outcome": self._view.outcome,
            "run": asdict(self.run),
            "comparison": self.comparison.to_dict() if self.comparison else None,
        }

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return notebook_frame(self.to_html())

    @property
    def _view(self) -> ReportView:
        return build_view(self.comparison, self.run)


def write_report(report: Report, folder: str | Path) -> dict[str, Path]:
    """Write `report.json`, `report.md` and `report.html` into a folder; return their paths by ending.

    Raises:
        RunFolderError: If the folder cannot be written.
        MissingExtraError: If jinja2 is not installed; the other two files are there by then.
    """
    target = make_private_folder(Path(folder))
    paths = {ending: target / f"report.{ending}" for ending in ("json", "md", "html")}
    found = json.dumps(report.to_dict(), ensure_ascii=False, indent=2)
    write_text(paths["json"], without_surrogates(found) + "\n")
    write_text(paths["md"], report.to_markdown())
    write_text(paths["html"], report.to_html())
    return paths
