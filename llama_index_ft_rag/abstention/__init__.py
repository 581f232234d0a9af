"""A model's answer -> whether it declines to answer.

In: the text of an answer, in English, Chinese, German, French, Spanish or Japanese. Out: yes or no. Knows nothing of
questions: that the company does not disclose something is an answer. The words and patterns of each language stand in
a module of their own; `detection` is what they have in common.
"""

from llama_index_ft_rag.abstention.detection import is_abstention

__all__ = ["is_abstention"]
