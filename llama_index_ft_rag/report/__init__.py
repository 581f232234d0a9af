"""A comparison and the facts of its run, as terminal text, markdown, JSON, a notebook cell, or one HTML file.

Modules in their order: `run_facts`, `tables`, `view` (what is said, once for all forms), `text`, `plots`, `html`,
`report` (what a user holds).
"""

from llama_index_ft_rag.report.report import Report, write_report
from llama_index_ft_rag.report.run_facts import JobFacts, LossPoint, RunFacts

__all__ = ["JobFacts", "LossPoint", "Report", "RunFacts", "write_report"]
