"""The judge: an answer and its contexts in, a score out, or "could not be scored" and why.

Modules in their order: `judge` (a LlamaIndex LLM asked for JSON), `ragas_library` (the only import of ragas),
`ragas_metrics`, `evaluator` (for LlamaIndex's own runners), `scores` (a whole arm, journalled), `example_scores`
(recorded examples, for `curate`), `evaluation` (the one call of the 2023 post).
"""

from llama_index_ft_rag.scoring.evaluation import EvaluationScores, aevaluate, evaluate
from llama_index_ft_rag.scoring.evaluator import RagasEvaluationResult, RagasEvaluator
from llama_index_ft_rag.scoring.example_scores import ExampleScores, ascore_examples, score_examples
from llama_index_ft_rag.scoring.ragas_library import check_installed
from llama_index_ft_rag.scoring.ragas_metrics import METRIC_NAMES, MetricName, Statement
from llama_index_ft_rag.scoring.scores import ScorableAnswer, Score, current_scores, read_scores, score_answers

__all__ = [
    "METRIC_NAMES",
    "EvaluationScores",
    "ExampleScores",
    "MetricName",
    "RagasEvaluationResult",
    "RagasEvaluator",
    "ScorableAnswer",
    "Score",
    "Statement",
    "aevaluate",
    "ascore_examples",
    "check_installed",
    "current_scores",
    "evaluate",
    "read_scores",
    "score_answers",
    "score_examples",
]
