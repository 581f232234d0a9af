"""Teacher model -> what its provider's terms say about training another model on its answers.

In: a model name as a provider, a model hub or a local server writes it. Out: `TeacherTerms` with source and date.
The data lie in `provider_terms.json`; a model that is not there is `unknown`. This is a note to read the terms by
and no legal advice: terms change, and what a host adds to a licence is not known here. Knows no network and no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from llama_index_ft_rag.catalog import is_offline_model

TermsVerdict = Literal["allowed", "restricted", "forbidden", "unknown"]


@dataclass(frozen=True, kw_only=True)
class TeacherTerms:
    """A note on a teacher's terms; no legal advice."""

    verdict: TermsVerdict
    """`restricted`: it depends on conditions, which the note names."""
    note: str
    source: str | None = None
    """Address of the terms or the licence."""
    as_of: str | None = None
    """Day or month of the source."""

    def render(self, model: str) -> str:
        """One paragraph for people: verdict, note, source and date."""
        where = f" ({self.source}, as of {self.as_of})" if self.source else ""
        return f"Training on answers of {model}: {self.verdict}. {self.note}{where} A note, not legal advice."


def teacher_terms(model: str) -> TeacherTerms:
    """Look up whether a teacher's terms allow training another model on its answers.

    Args:
        model: The teacher; a tuned one (`ft:...`) is under the terms of its base model.
    """
    if is_offline_model(model):
        return _OFFLINE
    name = model.strip().lower()
    if name.startswith("ft:"):
        name = name.split(":")[1]
    for patterns, terms in _terms():
        if any(pattern.search(name) for pattern in patterns):
            return terms
    return _UNKNOWN


_OFFLINE = TeacherTerms(verdict="allowed", note="The offline backend's readers are part of this package.")
_UNKNOWN = TeacherTerms(verdict="unknown", note="Not known: read the provider's terms.")


@lru_cache(maxsize=1)
def _terms() -> Sequence[tuple[Sequence[re.Pattern[str]], TeacherTerms]]:
    """In the order of the file: the first that fits is taken."""
    data = json.loads(files("llama_index_ft_rag").joinpath("provider_terms.json").read_text(encoding="utf-8"))
    return [([re.compile(pattern) for pattern in row.pop("models")], TeacherTerms(**row)) for row in data["terms"]]
