"""Nodes -> questions that they answer, training and evaluation questions from different nodes.

Modules in their order: `wording` (what counts as the same text, and as Chinese), `question` (and files of them),
`prompts`, `replies` (the questions in what an LLM wrote), `passages` (the nodes worth asking about), `harvest`
(which node is asked for how many), `generator` (what a user holds), `parting` (questions of both splits).
"""

from llama_index_ft_rag.questions.generator import DatasetGenerator
from llama_index_ft_rag.questions.parting import generate_train_and_eval
from llama_index_ft_rag.questions.prompts import QUESTION_QUERY, QUESTION_QUERY_CHINESE, QUESTION_TEMPLATE
from llama_index_ft_rag.questions.question import Question, Split, read_questions, write_questions
from llama_index_ft_rag.questions.replies import LONGEST_QUESTION

__all__ = [
    "LONGEST_QUESTION",
    "QUESTION_QUERY",
    "QUESTION_QUERY_CHINESE",
    "QUESTION_TEMPLATE",
    "DatasetGenerator",
    "Question",
    "Split",
    "generate_train_and_eval",
    "read_questions",
    "write_questions",
]
