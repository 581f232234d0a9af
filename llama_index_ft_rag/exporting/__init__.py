"""Training examples for other trainers: their data formats, and folders that they can start from.

Modules in their order: `turns` (what trainers can express), `sharegpt`, `alpaca`, `llama_factory` (its list of
datasets), `parquet`, `card`, `left_out`, `export` (what a user calls for a format); `configuration_text`, `chat_rows`,
`trainer_form`, one module for each trainer, `trainers` (what a user calls for a trainer).
"""

from llama_index_ft_rag.exporting.export import Export, ExportFormat, export_examples
from llama_index_ft_rag.exporting.left_out import LeftOut
from llama_index_ft_rag.exporting.trainers import Trainer, TrainerExport, export_for_trainer
from llama_index_ft_rag.exporting.turns import LeftOutReason

__all__ = [
    "Export",
    "ExportFormat",
    "LeftOut",
    "LeftOutReason",
    "Trainer",
    "TrainerExport",
    "export_examples",
    "export_for_trainer",
]
