"""A curation and what followed it -> one text: for the terminal, as markdown, as JSON.

In: `Curation`, and where there are any the split, the leaks of evaluation questions, the rows made for training. Out: a
string. Knows nothing of files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from llama_index_ft_rag.curation.distractors import RaftRows
from llama_index_ft_rag.curation.leaks import LeakReport
from llama_index_ft_rag.curation.outcome import Curation
from llama_index_ft_rag.curation.splitting import Split
from llama_index_ft_rag.examples import TrainingExample

Form = Literal["text", "markdown", "json"]


@dataclass(frozen=True, kw_only=True)
class CuratedData:
    """What was kept, and what was made of it."""

    curation: Curation
    split: Split | None = None
    leaks: LeakReport | None = None
    """What evaluation questions have in common with what is trained on."""
    rows: RaftRows | None = None
    """What is trained on instead of the training examples themselves."""

    @property
    def training(self) -> list[TrainingExample]:
        """What to train on."""
        if self.rows is not None:
            return self.rows.examples
        return self.curation.kept if self.split is None else self.split.train

    @property
    def validation(self) -> list[TrainingExample]:
        """What to validate with."""
        return [] if self.split is None else self.split.validation

    def describe(self, form: Form) -> str:
        """Everything in one newline-ended text."""
        if form == "json":
            return json.dumps(self._to_dict(), indent=2) + "\n"
        return self._to_markdown() if form == "markdown" else self._render()

    def _render(self) -> str:
        # The table stands last, where a terminal ends.
        parts = [*filter(None, [self.curation.render_examples()]), self.curation.render_table()]
        if self.split is not None:
            parts.append(self.split.render())
        if self.leaks is not None:
            parts.append("evaluation questions\n" + self.leaks.render())
        if self.rows is not None:
            parts.append(f"rows made for training: {self._made()}\n")
        return "\n".join(parts)

    def _to_markdown(self) -> str:
        parts = [self.curation.to_markdown()]
        if self.split is not None:
            parts.append(self.split.to_markdown())
        if self.leaks is not None:
            parts.append("## Evaluation questions\n\n" + self.leaks.to_markdown())
        if self.rows is not None:
            parts.append(f"## Rows made for training\n\n{self._made()}\n")
        return "\n".join(parts)

    def _to_dict(self) -> dict[str, Any]:
        return {
            **self.curation.to_dict(),
            "split": self.split.to_dict() if self.split is not None else None,
            "evaluation_leaks": self.leaks.to_dict() if self.leaks is not None else None,
            "rows": self.rows.counts() if self.rows is not None else None,
        }

    def _made(self) -> str:
        counts = self.rows.counts() if self.rows is not None else {}
        said = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()]
        reasons = f" (of these {', '.join(said[3:])})" if said[3:] else ""
        return ", ".join(said[:3]) + reasons
