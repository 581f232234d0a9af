"""Documents in, LlamaIndex `Document`s and nodes out; knows nothing of questions or models.

Modules in their order: `text` (bytes to clean text), `html` (what a reader sees of a page), `pdf`, `files` (files
and folders to documents), `nodes` (documents to chunks).
"""

from llama_index_ft_rag.documents.files import MAX_FILE_BYTES, load_documents
from llama_index_ft_rag.documents.nodes import split_documents

__all__ = ["MAX_FILE_BYTES", "load_documents", "split_documents"]
