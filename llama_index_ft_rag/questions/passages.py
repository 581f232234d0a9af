"""Nodes in, those worth asking about out, and where each is found in the documents."""

from __future__ import annotations

from collections.abc import Iterable

from llama_index.core.schema import BaseNode, MetadataMode

from llama_index_ft_rag.errors import QuestionError
from llama_index_ft_rag.questions.wording import folded, has_word


def usable(nodes: Iterable[BaseNode], mode: MetadataMode) -> list[tuple[BaseNode, str]]:
    """Return the nodes with text, each text once; those with next to none only where there is nothing else."""
    texts: dict[str, tuple[BaseNode, str]] = {}
    for node in nodes:
        text = node.get_content(metadata_mode=mode)
        texts.setdefault(folded(text), (node, text))
    found = {key: value for key, value in texts.items() if key}
    if not found:
        raise QuestionError("there is no text in the nodes to ask questions about; check what was loaded")
    return [value for key, value in found.items() if len(key) >= 80] or list(found.values())


def has_keywords(node: BaseNode, required: list[str] | None, excluded: list[str] | None) -> bool:
    """Whether the node holds one of the required words, if there are any, and none of the excluded ones."""
    text = node.get_content(MetadataMode.NONE)
    return (not required or any(has_word(text, word) for word in required)) and not any(
        has_word(text, word) for word in excluded or ()
    )


def source_of(node: BaseNode) -> str | None:
    """Return where a reader finds the node, such as `report.pdf p. 12`."""
    name, page = node.metadata.get("file_name"), node.metadata.get("page_label")
    if not name:
        return None
    return f"{name} p. {page}" if page else str(name)
