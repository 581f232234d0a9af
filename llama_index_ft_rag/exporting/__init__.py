"""Training examples in the formats of other trainers: ShareGPT, Alpaca, Hugging Face `datasets`, and OpenAI's own.

Modules in their order: `turns` (what trainers can express), `sharegpt`, `alpaca`, `llama_factory` (its list of
datasets), `parquet`, `card`, `export` (what a user calls).
"""

from llama_index_ft_rag.exporting.export import Export, ExportFormat, LeftOut, export_examples
from llama_index_ft_rag.exporting.turns import LeftOutReason

__all__ = ["Export", "ExportFormat", "LeftOut", "LeftOutReason", "export_examples"]
