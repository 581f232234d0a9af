"""A training file -> every problem with its line, the number of tokens, and the price of training on it.

In: the path of any training file, ours or another's, and of its validation file. Out: `FileReport`. Files are read line
by line; a line takes 12 bytes of memory that stay. Knows no network and sends nothing.
"""

from llama_index_ft_rag.training_problems import Problem
from llama_index_ft_rag.validation.checking import MINIMUM_EXAMPLES, validate_file
from llama_index_ft_rag.validation.report import FileReport, TrainingMethod

__all__ = ["MINIMUM_EXAMPLES", "FileReport", "Problem", "TrainingMethod", "validate_file"]
