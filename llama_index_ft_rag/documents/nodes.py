"""Documents in, nodes out: sentences kept whole where they can be, ids that depend on content only.

Knows nothing of files: any LlamaIndex documents will do. Fetches nothing, and needs no NLTK data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, Document, MetadataMode

from llama_index_ft_rag.documents.text import digest
from llama_index_ft_rag.errors import ConfigurationError, DocumentError

_SENTENCE = re.compile(
    r".+?(?:[。！？；]+[”’」』）)]*\s*|[.!?…]{1,9}[\"'”’)\]]{0,3}\s+(?=[^\sa-z])|\n\s*\n\s*|\Z)",
    re.DOTALL,
)
_LONG_SENTENCE = 1_000


def split_documents(
    documents: Sequence[Document], *, chunk_size: int = 1024, chunk_overlap: int = 20
) -> list[BaseNode]:
    """Split documents into nodes with LlamaIndex's `SentenceSplitter`; sizes are in tokens.

    Node ids are hashes of the document's content, the sizes and the position. Sentence ends are found here,
    Chinese ones included, instead of by NLTK, whose data files cannot be read in some installations; the
    tokenizer's table comes with LlamaIndex. Nothing is fetched.

    Raises:
        ConfigurationError: If the sizes do not fit each other or the documents' metadata.
        DocumentError: If no document has any text.
    """
    if chunk_size < 32 or not 0 <= chunk_overlap < chunk_size:
        raise ConfigurationError(
            f"chunk_size={chunk_size} and chunk_overlap={chunk_overlap} do not fit: give a chunk_size of at "
            "least 32 and a chunk_overlap from 0 to less than that"
        )
    filled = [document for document in documents if document.get_content(MetadataMode.NONE).strip()]
    if not filled:
        raise DocumentError("documents", "none of them has any text to split; check what was loaded")
    keys = _content_keys(filled)

    def node_id(position: int, document: BaseNode) -> str:
        return digest(keys[document.node_id], str(chunk_size), str(chunk_overlap), str(position))

    splitter = SentenceSplitter(
        chunk_size=chunk_size,
        chunk_overlap=chunk_overlap,
        chunking_tokenizer_fn=_sentences,
        id_func=node_id,
    )
    try:
        return splitter.get_nodes_from_documents(filled)
    except ValueError as exc:
        raise ConfigurationError(f"chunk_size={chunk_size} is too small for these documents: {exc}") from exc


def _content_keys(documents: Sequence[Document]) -> dict[str, str]:
    """A key per document that depends on content only; equal documents are told apart by a count."""
    counts: Counter[str] = Counter()
    keys = {}
    for document in documents:
        content = document.hash
        keys[document.node_id] = f"{content}-{counts[content]}"
        counts[content] += 1
    return keys


def _sentences(text: str) -> list[str]:
    """Cut text into sentences that add up to it; a long one, such as a table, is cut into its lines."""
    pieces: list[str] = []
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        pieces += sentence.splitlines(keepends=True) if len(sentence) > _LONG_SENTENCE else [sentence]
    return pieces
