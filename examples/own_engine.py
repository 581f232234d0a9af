"""An app of your own for `ft-rag run --engine`: a query engine with a retriever that no default has.

    cd examples
    ft-rag run --engine own_engine:build_engine REPORT --out ../runs/own --backend offline

REPORT serves to make questions from; with --train-questions FILE and --eval-questions FILE none is needed. The engine
itself reads the report named in the environment variable REPORT, or the sample report of the package.
"""

import math
import os
import re
from collections import Counter
from functools import lru_cache

from llama_index.core import QueryBundle
from llama_index.core.llms import LLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import BaseNode, NodeWithScore

from llama_index_ft_rag import load_documents, split_documents
from llama_index_ft_rag.sample import sample_report


class KeywordRetriever(BaseRetriever):
    """BM25: rare words of the question, found often in a short passage, count most."""

    def __init__(self, nodes: list[BaseNode], top_k: int = 2) -> None:
        super().__init__()
        self._nodes = nodes
        self._top_k = top_k
        self._words = [Counter(_words(node.get_content())) for node in nodes]
        self._holders = Counter(word for words in self._words for word in words)
        self._mean_length = sum(words.total() for words in self._words) / len(nodes)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = set(_words(query_bundle.query_str))
        found = [
            NodeWithScore(node=node, score=self._score(asked, words))
            for node, words in zip(self._nodes, self._words, strict=True)
        ]
        return sorted(found, key=lambda hit: -(hit.score or 0.0))[: self._top_k]

    def _score(self, asked: set[str], words: Counter[str]) -> float:
        length = 0.25 + 0.75 * words.total() / self._mean_length
        return sum(
            self._rarity(word) * words[word] * 2.2 / (words[word] + 1.2 * length) for word in asked & words.keys()
        )

    def _rarity(self, word: str) -> float:
        holders = self._holders[word]
        return math.log(1 + (len(self._nodes) - holders + 0.5) / (holders + 0.5))


def build_engine(llm: LLM) -> RetrieverQueryEngine:
    """The app's engine around any LLM: teacher, base and tuned model get the same retriever."""
    return RetrieverQueryEngine.from_args(_retriever(), llm=llm)


@lru_cache(maxsize=1)
def _retriever() -> KeywordRetriever:
    documents = load_documents([os.environ.get("REPORT") or sample_report()])
    return KeywordRetriever(split_documents(documents, chunk_size=256))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
