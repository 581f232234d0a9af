"""Nodes in, questions of both splits out: no node is asked about for both, and no question is in both.

The nodes are parted in blocks of neighbours, evenly through the documents. Knows nothing of how questions are made.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.schema import BaseNode, MetadataMode

from llama_index_ft_rag.concurrency import OnProgress
from llama_index_ft_rag.errors import QuestionError
from llama_index_ft_rag.questions.generator import DatasetGenerator
from llama_index_ft_rag.questions.passages import usable
from llama_index_ft_rag.questions.question import Question


async def generate_train_and_eval(
    nodes: Sequence[BaseNode],
    llm: LLM | None = None,
    *,
    train: int,
    eval_: int,
    seed: int = 0,
    concurrency: int = 8,
    num_questions_per_chunk: int = 10,
    text_question_template: BasePromptTemplate | None = None,
    question_gen_query: str | None = None,
    avoid: Iterable[str] = (),
    on_progress: OnProgress | None = None,
) -> list[Question]:
    """Write training and evaluation questions about different nodes, none of them in both splits.

    The nodes are parted first, in blocks of neighbours spread over the documents; where two neighbours of
    different splits overlap, the later one is asked about without the text they share. `avoid` holds questions
    that exist already and must not come up again.

    Raises:
        QuestionError: If there are too few nodes to part, or a split gets no question at all.
    """
    total, avoided = train + eval_, list(avoid)
    made: list[Question] = []
    for split, number, share in zip(
        ("train", "eval"), (train, eval_), _part(nodes, train, eval_, seed=seed), strict=True
    ):
        generator = DatasetGenerator(
            share,
            llm,
            None,
            num_questions_per_chunk,
            text_question_template,
            None,
            question_gen_query,
            concurrency=concurrency,
            seed=seed,
        )
        made += await generator.agenerate(
            number,
            split="train" if split == "train" else "eval",
            avoid=[*avoided, *(question.text for question in made)],
            on_progress=_shifted(on_progress, by=len(made), total=total),
        )
    return made


def _shifted(on_progress: OnProgress | None, *, by: int, total: int) -> OnProgress | None:
    return None if on_progress is None else lambda done, _: on_progress(by + done, total)


def _part(nodes: Sequence[BaseNode], train: int, eval_: int, *, seed: int) -> tuple[list[BaseNode], list[BaseNode]]:
    """Part nodes into those for training and those for evaluation, in blocks of neighbours."""
    if not train or not eval_:
        return (list(nodes), []) if train else ([], list(nodes))
    nodes = [node for node, _ in usable(nodes, MetadataMode.NONE)]
    if len(nodes) < 2:
        raise QuestionError(
            "one chunk of text cannot give both training and evaluation questions; add documents or use a "
            "smaller chunk_size (--chunk-size)"
        )
    blocks = _blocks(nodes)
    sides = _sides(blocks, min(0.9, max(0.1, eval_ / (train + eval_))), seed=seed)
    parts: tuple[list[BaseNode], list[BaseNode]] = ([], [])
    previous: tuple[BaseNode, bool] | None = None
    for block, side in zip(blocks, sides, strict=True):
        for node in block:
            crosses = previous is not None and previous[1] != side
            parts[side].append(_without_overlap(previous[0], node) if crosses and previous else node)
            previous = (node, side)
    return parts


def _sides(blocks: list[list[BaseNode]], share: float, *, seed: int) -> list[bool]:
    """Which blocks are for evaluation: evenly through the documents, `share` of the text, both sides filled."""
    phase = random.Random(seed).random()  # noqa: S311 - where the turns begin, no secret
    sizes = [sum(len(node.get_content(MetadataMode.NONE)) for node in block) for block in blocks]
    owed = (phase - 0.5) * sizes[0]
    sides = []
    for size in sizes:
        owed += share * size
        sides.append(owed >= size / 2)
        owed -= size if sides[-1] else 0
    if len(set(sides)) == 1:
        sides[int(phase * len(sides))] ^= True
    return sides


def _blocks(nodes: list[BaseNode]) -> list[list[BaseNode]]:
    """About twenty blocks of neighbours, pages whole where they can be; single nodes where there are few."""
    size = max(1, len(nodes) // 20)
    longest = 2 * size if len(nodes) >= 20 else 1
    blocks: list[list[BaseNode]] = []
    for node in nodes:
        last = blocks[-1] if blocks else []
        ends = len(last) >= size and last[-1].ref_doc_id != node.ref_doc_id
        if not last or ends or len(last) >= longest:
            blocks.append([])
        blocks[-1].append(node)
    return blocks


def _without_overlap(before: BaseNode, node: BaseNode) -> BaseNode:
    """The node without the text with which the one before it ends."""
    end, text = before.get_content(MetadataMode.NONE)[-2_000:], node.get_content(MetadataMode.NONE)
    if before.ref_doc_id != node.ref_doc_id:
        return node
    shared = next((size for size in range(min(len(end), len(text) - 1), 7, -1) if end.endswith(text[:size])), 0)
    if not shared:
        return node
    copy = node.model_copy(deep=True)
    copy.set_content(text[shared:].lstrip())
    return copy
