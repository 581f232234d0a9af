"""Teach a cheaper model to do the job of a LlamaIndex query engine, and prove whether it worked.

The way of the data, one module or sub-package per step:

    documents -> questions -> answering (recording, ledger) -> curation -> validation -> finetuning
              -> answering -> scoring -> comparison -> report

`distill` does all of it in one run folder; every part also works alone.
"""

from importlib.metadata import version as _version

from llama_index_ft_rag.answering import Answer, answer_questions
from llama_index_ft_rag.comparison import Comparison, compare
from llama_index_ft_rag.curation import Curation, curate
from llama_index_ft_rag.distill import Distilled, adistill, distill, load_tuned_llm
from llama_index_ft_rag.documents import load_documents, split_documents
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import FtRagError
from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples, write_examples
from llama_index_ft_rag.finetuning import BaseLLMFinetuneEngine, OpenAIFinetuneEngine
from llama_index_ft_rag.ledger import Ledger
from llama_index_ft_rag.questions import DatasetGenerator, Question, read_questions, write_questions
from llama_index_ft_rag.recording import OpenAIFineTuningHandler
from llama_index_ft_rag.report import Report, write_report
from llama_index_ft_rag.run_report import report_of_run
from llama_index_ft_rag.scoring import EvaluationScores, RagasEvaluator, Score, aevaluate, evaluate, score_answers
from llama_index_ft_rag.validation import FileReport, validate_file

__version__ = _version("llama-index-ft-rag")

__all__ = [
    "Answer",
    "BaseLLMFinetuneEngine",
    "Comparison",
    "Curation",
    "DatasetGenerator",
    "Distilled",
    "Endpoint",
    "EvaluationScores",
    "FileReport",
    "FtRagError",
    "Ledger",
    "OpenAIFineTuningHandler",
    "OpenAIFinetuneEngine",
    "Question",
    "RagasEvaluator",
    "Report",
    "Score",
    "TrainingExample",
    "Usage",
    "adistill",
    "aevaluate",
    "answer_questions",
    "compare",
    "curate",
    "distill",
    "evaluate",
    "load_documents",
    "load_tuned_llm",
    "read_examples",
    "read_questions",
    "report_of_run",
    "score_answers",
    "split_documents",
    "validate_file",
    "write_examples",
    "write_questions",
    "write_report",
]
