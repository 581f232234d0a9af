"""Teach a cheaper model to do the job of a LlamaIndex query engine, and prove whether it worked.

The way of the data, one module or sub-package per step:

    documents -> questions -> answering (recording, ledger) -> curation (exporting) -> validation -> finetuning
              -> answering -> scoring -> comparison -> report

`distill` does all of it in one run folder; every part also works alone. A part is imported when it is first asked
for, so that an app pays only for what it uses.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index_ft_rag.answering import Answer, answer_questions
    from llama_index_ft_rag.catalog import TrainingOffer, WindDownStep, training_offers, training_wind_down
    from llama_index_ft_rag.comparison import Comparison, compare
    from llama_index_ft_rag.cost_estimate import CostEstimate, estimate_costs
    from llama_index_ft_rag.curation import (
        CuratedData,
        Curation,
        Dropped,
        Leak,
        LeakReport,
        MaskedCuration,
        MaskedExamples,
        PreferencePair,
        Preferences,
        PromptParts,
        RaftRows,
        ReadLines,
        Reason,
        Replies,
        Split,
        UnreadableLine,
        aanswer_prompts,
        add_distractors,
        ajudge_abstentions,
        ajudge_preferences,
        answer_prompts,
        answers_from,
        curate,
        find_leaks,
        is_abstention,
        judge_abstentions,
        judge_preferences,
        mask_curation,
        mask_pii,
        prefer_by_score,
        preference_pairs,
        read_example_scores,
        read_lines,
        read_originals,
        read_pairs,
        read_prompt,
        split_examples,
        unmask_examples,
        unmask_text,
        write_curation,
        write_example_scores,
        write_originals,
        write_pairs,
    )
    from llama_index_ft_rag.distillation import Distilled, adistill, distill, load_tuned_llm
    from llama_index_ft_rag.documents import load_documents, split_documents
    from llama_index_ft_rag.endpoints import Endpoint
    from llama_index_ft_rag.errors import FtRagError
    from llama_index_ft_rag.examples import TrainingExample, Usage, read_examples, write_examples
    from llama_index_ft_rag.exporting import Export, TrainerExport, export_examples, export_for_trainer
    from llama_index_ft_rag.finetuning import (
        AzureDeployment,
        AzureOpenAIFinetuneEngine,
        BaseLLMFinetuneEngine,
        Checkpoint,
        FinetuneEvent,
        OpenAIFinetuneEngine,
        Preflight,
        TrainingProgress,
        read_progress,
    )
    from llama_index_ft_rag.ledger import Ledger
    from llama_index_ft_rag.prices import Price, PriceList, price_notice
    from llama_index_ft_rag.provider_terms import TeacherTerms, teacher_terms
    from llama_index_ft_rag.questions import DatasetGenerator, Question, read_questions, write_questions
    from llama_index_ft_rag.recording import OpenAIFineTuningHandler, read_recording
    from llama_index_ft_rag.report import Report, write_report
    from llama_index_ft_rag.run_report import report_of_run
    from llama_index_ft_rag.scoring import (
        EvaluationScores,
        ExampleScores,
        RagasEvaluator,
        Score,
        aevaluate,
        ascore_examples,
        evaluate,
        score_answers,
        score_examples,
    )
    from llama_index_ft_rag.validation import FileReport, validate_file

__version__ = version("llama-index-ft-rag")

__all__ = [
    "Answer",
    "AzureDeployment",
    "AzureOpenAIFinetuneEngine",
    "BaseLLMFinetuneEngine",
    "Checkpoint",
    "Comparison",
    "CostEstimate",
    "CuratedData",
    "Curation",
    "DatasetGenerator",
    "Distilled",
    "Dropped",
    "Endpoint",
    "EvaluationScores",
    "ExampleScores",
    "Export",
    "FileReport",
    "FinetuneEvent",
    "FtRagError",
    "Leak",
    "LeakReport",
    "Ledger",
    "MaskedCuration",
    "MaskedExamples",
    "OpenAIFineTuningHandler",
    "OpenAIFinetuneEngine",
    "PreferencePair",
    "Preferences",
    "Preflight",
    "Price",
    "PriceList",
    "PromptParts",
    "Question",
    "RaftRows",
    "RagasEvaluator",
    "ReadLines",
    "Reason",
    "Replies",
    "Report",
    "Score",
    "Split",
    "TeacherTerms",
    "TrainerExport",
    "TrainingExample",
    "TrainingOffer",
    "TrainingProgress",
    "UnreadableLine",
    "Usage",
    "WindDownStep",
    "aanswer_prompts",
    "add_distractors",
    "adistill",
    "aevaluate",
    "ajudge_abstentions",
    "ajudge_preferences",
    "answer_prompts",
    "answer_questions",
    "answers_from",
    "ascore_examples",
    "compare",
    "curate",
    "distill",
    "estimate_costs",
    "evaluate",
    "export_examples",
    "export_for_trainer",
    "find_leaks",
    "is_abstention",
    "judge_abstentions",
    "judge_preferences",
    "load_documents",
    "load_tuned_llm",
    "mask_curation",
    "mask_pii",
    "prefer_by_score",
    "preference_pairs",
    "price_notice",
    "read_example_scores",
    "read_examples",
    "read_lines",
    "read_originals",
    "read_pairs",
    "read_progress",
    "read_prompt",
    "read_questions",
    "read_recording",
    "report_of_run",
    "score_answers",
    "score_examples",
    "split_documents",
    "split_examples",
    "teacher_terms",
    "training_offers",
    "training_wind_down",
    "unmask_examples",
    "unmask_text",
    "validate_file",
    "write_curation",
    "write_example_scores",
    "write_examples",
    "write_originals",
    "write_pairs",
    "write_questions",
    "write_report",
]

_PARTS = {
    "answering": "Answer answer_questions",
    "catalog": "TrainingOffer WindDownStep training_offers training_wind_down",
    "comparison": "Comparison compare",
    "cost_estimate": "CostEstimate estimate_costs",
    "curation": """
        CuratedData Curation Dropped Leak LeakReport MaskedCuration MaskedExamples PreferencePair Preferences
        PromptParts RaftRows ReadLines Reason Replies Split UnreadableLine aanswer_prompts add_distractors
        ajudge_abstentions ajudge_preferences answer_prompts answers_from curate find_leaks is_abstention
        judge_abstentions judge_preferences mask_curation mask_pii prefer_by_score preference_pairs
        read_example_scores read_lines read_originals read_pairs read_prompt split_examples unmask_examples
        unmask_text write_curation write_example_scores write_originals write_pairs
    """,
    "distillation": "Distilled adistill distill load_tuned_llm",
    "documents": "load_documents split_documents",
    "endpoints": "Endpoint",
    "errors": "FtRagError",
    "examples": "TrainingExample Usage read_examples write_examples",
    "exporting": "Export TrainerExport export_examples export_for_trainer",
    "finetuning": """
        AzureDeployment AzureOpenAIFinetuneEngine BaseLLMFinetuneEngine Checkpoint FinetuneEvent OpenAIFinetuneEngine
        Preflight TrainingProgress read_progress
    """,
    "ledger": "Ledger",
    "prices": "Price PriceList price_notice",
    "questions": "DatasetGenerator Question read_questions write_questions",
    "recording": "OpenAIFineTuningHandler read_recording",
    "report": "Report write_report",
    "run_report": "report_of_run",
    "scoring": """
        EvaluationScores ExampleScores RagasEvaluator Score aevaluate ascore_examples evaluate score_answers
        score_examples
    """,
    "provider_terms": "TeacherTerms teacher_terms",
    "validation": "FileReport validate_file",
}
_HOMES = {name: module for module, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return ["__version__", *__all__]
