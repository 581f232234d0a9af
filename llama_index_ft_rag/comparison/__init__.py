"""Scores of any arms on the same questions in, a paired verdict out: did it help, how sure is that, what does it cost.

Modules in their order: `paired` (the test), `agreement` (with the teacher), `money`, `verdict` (the sentence),
`per_question` and `side_by_side` (the table of all questions), `compare` (what a user calls).
"""

from llama_index_ft_rag.comparison.agreement import Agreement, token_f1
from llama_index_ft_rag.comparison.compare import ArmAnswers, ArmMetric, Comparison, compare
from llama_index_ft_rag.comparison.money import ArmMoney, BreakEven
from llama_index_ft_rag.comparison.paired import PairedDifference, paired_difference
from llama_index_ft_rag.comparison.side_by_side import QuestionRow

__all__ = [
    "Agreement",
    "ArmAnswers",
    "ArmMetric",
    "ArmMoney",
    "BreakEven",
    "Comparison",
    "PairedDifference",
    "QuestionRow",
    "compare",
    "paired_difference",
    "token_f1",
]
