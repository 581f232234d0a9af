"""The sample documents shipped with the package, for a first run without any file of one's own.

Out: the path of an invented company's annual report, long in English, short in Chinese. Knows nothing of its
readers.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

_FILES = {"en": "annual_report.md", "zh": "annual_report.zh.md"}


def sample_report(language: Literal["en", "zh"] = "en") -> Path:
    """Return the path of the shipped report; the company and every figure in it are invented."""
    return Path(str(files(__name__).joinpath(_FILES[language])))
