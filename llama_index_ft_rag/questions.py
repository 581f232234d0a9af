"""Nodes -> questions that they answer, training and evaluation questions from different nodes.

In: nodes and an LLM that writes questions, or a file of questions. Out: distinct `Question`s with a content hash
as id and the node they were asked about. The number asked for is spread over the whole document, calls in flight
are bounded, and a chunk that fails loses only itself. Knows nothing of who answers.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import logging
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.ingestion import run_transformations
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
from llama_index.core.prompts.mixin import PromptDictType, PromptMixin, PromptMixinType
from llama_index.core.schema import BaseNode, Document, MetadataMode, TransformComponent
from openai import AuthenticationError, NotFoundError, PermissionDeniedError
from pydantic import BaseModel, ConfigDict

from llama_index_ft_rag.concurrency import OnProgress, map_bounded, run_sync
from llama_index_ft_rag.errors import ConfigurationError, QuestionError
from llama_index_ft_rag.storage import make_private_folder, write_rows

logger = logging.getLogger(__name__)

Split = Literal["train", "eval"]

# "generate only questions based on the below query", LlamaIndex's own words, tell recorders what the call is for.
QUESTION_TEMPLATE = PromptTemplate(
    "Context information is below.\n"
    "---------------------\n"
    "{context_str}\n"
    "---------------------\n"
    "With this context and no prior knowledge, generate only questions based on the below query.\n"
    "{query_str}\n"
)
QUESTION_QUERY = (
    "Write {num} questions that this context alone answers. Each must make sense to a reader who does not see "
    "the context, name what it is about, ask one thing and differ from the others. Write in the language of the "
    "context, one question per line, with no numbers, answers or other text."
)
QUESTION_QUERY_CHINESE = (
    "请用中文写出{num}个问题，每个问题都能仅凭以上内容回答。读者看不到以上内容，所以每个问题要写明所指的对象，"
    "只问一件事，并且互不重复。每行写一个问题，不要编号，不要答案，也不要其他文字。"
)
LONGEST_QUESTION = 400
"""Longer lines, in characters, of what an LLM wrote are no questions."""


class Question(BaseModel):
    """One question, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The first 12 hex digits of the SHA-256 of text and node id."""
    text: str
    node_id: str | None = None
    source: str | None = None
    """What a reader looks up, such as `report.pdf p. 12`."""
    split: Split = "train"

    @classmethod
    def make(
        cls, text: str, *, node_id: str | None = None, source: str | None = None, split: Split = "train"
    ) -> Question:
        """Make a question with its id; white space is evened out."""
        even = " ".join(text.split())
        digest = hashlib.sha256(f"{even}\0{node_id or ''}".encode("utf-8", "surrogatepass")).hexdigest()
        return cls(id=digest[:12], text=even, node_id=node_id, source=source, split=split)


class DatasetGenerator(PromptMixin):
    """Let an LLM write questions about nodes: LlamaIndex's removed class of this name, by the same arguments.

    Args:
        nodes: What to ask about, in document order.
        llm: Who writes the questions; `Settings.llm` by default.
        callback_manager: Accepted for old code; the LLM's own is used.
        num_questions_per_chunk: The most questions that one node is asked for.
        text_question_template: Prompt with `context_str` and `query_str`.
        text_qa_template: Accepted for old code; nothing is answered here.
        question_gen_query: What the prompt asks for; `{num}` in it becomes the number wanted of the node. The
            default asks in English, or in Chinese about Chinese text.
        metadata_mode: Which metadata of a node the LLM sees; none by default.
        show_progress: Show a progress bar.
        concurrency: The most calls in flight.
        seed: Where the even steps through the nodes begin. The same seed, nodes and replies give the same
            questions.
        service_context: Refused: LlamaIndex has none any more.
    """

    def __init__(
        self,
        nodes: Sequence[BaseNode],
        llm: LLM | None = None,
        callback_manager: CallbackManager | None = None,
        num_questions_per_chunk: int = 10,
        text_question_template: BasePromptTemplate | None = None,
        text_qa_template: BasePromptTemplate | None = None,
        question_gen_query: str | None = None,
        metadata_mode: MetadataMode = MetadataMode.NONE,
        show_progress: bool = False,
        *,
        concurrency: int = 8,
        seed: int = 0,
        service_context: object = None,
    ) -> None:
        _refuse_service_context(service_context)
        if num_questions_per_chunk < 1:
            raise ConfigurationError(
                f"num_questions_per_chunk={num_questions_per_chunk} asks for nothing: pass at least 1"
            )
        self.nodes = nodes
        self.llm = Settings.llm if llm is None else llm
        self.callback_manager = callback_manager
        self.text_question_template = text_question_template or QUESTION_TEMPLATE
        self.text_qa_template = text_qa_template or DEFAULT_TEXT_QA_PROMPT
        self.question_gen_query = question_gen_query
        self.failed_chunks = 0
        """How many calls of the last generation failed; each is in the log."""
        self._most_per_chunk = num_questions_per_chunk
        self._metadata_mode = metadata_mode
        self._show_progress = show_progress
        self._concurrency = concurrency
        self._seed = seed

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        llm: LLM | None = None,
        transformations: list[TransformComponent] | None = None,
        callback_manager: CallbackManager | None = None,
        num_questions_per_chunk: int = 10,
        text_question_template: BasePromptTemplate | None = None,
        text_qa_template: BasePromptTemplate | None = None,
        question_gen_query: str | None = None,
        required_keywords: list[str] | None = None,
        exclude_keywords: list[str] | None = None,
        show_progress: bool = False,
        *,
        concurrency: int = 8,
        seed: int = 0,
        service_context: object = None,
    ) -> DatasetGenerator:
        """Split documents by `transformations` (`Settings.transformations`) and keep the nodes by their words.

        A node is kept if it holds one of `required_keywords`, if there are any, and none of `exclude_keywords`.
        """
        _refuse_service_context(service_context)
        steps = Settings.transformations if transformations is None else transformations
        try:
            nodes = run_transformations(list(documents), steps, show_progress=show_progress)
        except PermissionError as exc:
            raise ConfigurationError(
                f"NLTK refuses its own data files ({exc}): reinstall llama-index-core with UV_LINK_MODE=copy, or "
                "pass the nodes of split_documents(documents) to DatasetGenerator"
            ) from exc
        kept = [node for node in nodes if _has_keywords(node, required_keywords, exclude_keywords)]
        return cls(
            kept,
            llm,
            callback_manager,
            num_questions_per_chunk,
            text_question_template,
            text_qa_template,
            question_gen_query,
            show_progress=show_progress,
            concurrency=concurrency,
            seed=seed,
        )

    def generate_questions_from_nodes(self, num: int | None = None) -> list[str]:
        """Return `num` questions as text, or as many as all nodes give."""
        return run_sync(self.agenerate_questions_from_nodes(num))

    async def agenerate_questions_from_nodes(self, num: int | None = None) -> list[str]:
        """Do what `generate_questions_from_nodes` does, in a running loop."""
        return [question.text for question in await self.agenerate(num)]

    def generate(self, num: int | None = None, *, split: Split = "train") -> list[Question]:
        """Return `num` questions with their nodes, fewer (and a log line) where the nodes give no more.

        Raises:
            QuestionError: If there is no text to ask about, every call failed, or no reply held a question.
        openai.OpenAIError: If the key or the model is refused, as then every call would fail.
        """
        return run_sync(self.agenerate(num, split=split))

    async def agenerate(
        self,
        num: int | None = None,
        *,
        split: Split = "train",
        avoid: Iterable[str] = (),
        on_progress: OnProgress | None = None,
    ) -> list[Question]:
        """Do what `generate` does, in a running loop.

        Args:
            num: How many questions; all that the nodes give if `None`.
            split: What the questions are for.
            avoid: Questions that must not come up again, such as those of the other split.
            on_progress: Told how many questions there are after each reply.
        """
        if num is not None and num < 0:
            raise ConfigurationError(f"num={num} is no number of questions: pass 0 or more")
        if num == 0:
            return []
        chunks = [_Chunk(node=node, text=text) for node, text in _usable(self.nodes, self._metadata_mode)]
        wanted = len(chunks) * self._most_per_chunk if num is None else num
        with _progress(on_progress, shown=self._show_progress) as progress:
            picked = await self._harvest(chunks, wanted, {_key(text) for text in avoid}, progress)
        self.failed_chunks = sum(chunk.error is not None for chunk in chunks)
        _check_harvest(chunks, len(picked), wanted=num)
        return [
            Question.make(text, node_id=chunk.node.node_id, source=_source(chunk.node), split=split)
            for chunk, text in picked
        ]

    async def _harvest(
        self, chunks: list[_Chunk], wanted: int, avoid: set[str], on_progress: OnProgress
    ) -> list[tuple[_Chunk, str]]:
        """Ask evenly spaced chunks until there are enough questions or three rounds in a row bring none."""

        async def ask(chunk: _Chunk) -> None:
            await self._ask(chunk)
            on_progress(min(wanted, sum(min(len(each.found), each.needed) for each in chunks)), wanted)

        picked: list[tuple[_Chunk, str]] = []
        barren = 0
        while len(picked) < wanted and barren < 3:
            # A round that brought nothing is followed by one over twice as many chunks.
            asked = self._plan(chunks, wanted - len(picked), width=2**barren)
            if not asked:
                break
            await map_bounded(ask, asked, limit=self._concurrency)
            before, picked = len(picked), _pick(chunks, wanted, avoid)
            barren = 0 if len(picked) > before else barren + 1
            if len(asked) >= 5 and all(chunk.error for chunk in chunks if chunk.asked):
                break
        on_progress(len(picked), wanted)
        return picked

    def _plan(self, chunks: list[_Chunk], missing: int, *, width: int) -> list[_Chunk]:
        """Choose the chunks of the next round and set what each is asked for: its share and a small reserve."""
        fresh = [chunk for chunk in chunks if not chunk.asked]
        ready = fresh or [chunk for chunk in chunks if chunk.may_know_more(self._most_per_chunk)]
        count = min(len(ready), missing * width)
        if not count:
            return []
        phase = random.Random(self._seed).random()  # noqa: S311 - which chunks come first, no secret
        chosen = [ready[int((place + phase) * len(ready) / count)] for place in range(count)]
        for place, chunk in enumerate(chosen):
            share = max(1, (place + 1) * missing // count - place * missing // count)
            chunk.needed += share
            chunk.asked = min(self._most_per_chunk, share + 1 + share // 5) if fresh else self._most_per_chunk
        return chosen

    async def _ask(self, chunk: _Chunk) -> None:
        query = self.question_gen_query or (QUESTION_QUERY_CHINESE if _is_chinese(chunk.text) else QUESTION_QUERY)
        query = query.replace("{num}", str(chunk.asked))
        try:
            reply = await self.llm.apredict(self.text_question_template, context_str=chunk.text, query_str=query)
        except (AuthenticationError, NotFoundError, PermissionDeniedError):
            raise  # the next chunk would fail in the same way
        except Exception as exc:  # noqa: BLE001 - one chunk's failure must not lose the others' questions
            chunk.error = exc
            logger.warning("No questions about node %s: %s", chunk.node.node_id, _cause(exc))
        else:
            for text in _questions_in(reply):
                chunk.found.setdefault(_key(text), text)

    def _get_prompts(self) -> PromptDictType:
        return {
            "text_question_template": self.text_question_template,
            "text_qa_template": self.text_qa_template,
        }

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self.text_question_template = prompts.get("text_question_template", self.text_question_template)
        self.text_qa_template = prompts.get("text_qa_template", self.text_qa_template)


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


def read_questions(path: str | Path, *, split: Split | None = None) -> list[Question]:
    """Read a file with one question per line, or with one JSON object per line (`question` or `text` in it).

    Args:
        path: The file, UTF-8. Blank lines are passed over, repeated questions dropped with a log line.
        split: What questions that do not say so themselves are for, training by default. Rows that say they
            are for the other split are left out.

    Raises:
        QuestionError: If the file is missing or empty, or a line cannot be used.
    """
    path = Path(path)
    text = _read_file(path)
    as_json = path.suffix.lower() in (".json", ".jsonl", ".ndjson") or text.lstrip().startswith("{")
    found: dict[str, Question] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            question = _read_row(line, split) if as_json else Question.make(_checked(line), split=split or "train")
        except ValueError as exc:
            raise QuestionError(f"{path} line {number}: {exc}; correct or remove this line") from exc
        if found.setdefault(_key(question.text), question) is not question:
            logger.warning("%s line %s repeats an earlier question and was dropped", path, number)
    kept = [question for question in found.values() if split in (None, question.split)]
    if not kept:
        reason = f"all its questions are marked as not for {split}" if found else "holds no question"
        raise QuestionError(f"{path}: {reason}; write one question per line or name another file")
    if len(kept) < len(found):
        logger.info("%s: %s of %s questions are for %s", path, len(kept), len(found), split)
    return kept


def write_questions(path: str | Path, questions: Iterable[Question]) -> None:
    """Write questions as JSONL, one row each, as a whole file."""
    path = Path(path)
    make_private_folder(path.parent)
    write_rows(path, (question.model_dump(mode="json") for question in questions))


@dataclass
class _Chunk:
    """A node, what it was asked for and what it gave."""

    node: BaseNode
    text: str
    asked: int = 0
    needed: int = 0
    found: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None

    def may_know_more(self, most: int) -> bool:
        """Whether it gave all it was asked for, and may be asked for more."""
        return self.error is None and len(self.found) >= self.asked and self.asked < most


def _refuse_service_context(service_context: object) -> None:
    if service_context is not None:
        raise ConfigurationError(
            "service_context=... is gone from LlamaIndex: write DatasetGenerator(nodes, llm=...) or "
            "DatasetGenerator.from_documents(documents, llm=...) instead, or set Settings.llm"
        )


def _usable(nodes: Iterable[BaseNode], mode: MetadataMode) -> list[tuple[BaseNode, str]]:
    """Nodes with text, each text once; those with next to none only where there is nothing else."""
    texts: dict[str, tuple[BaseNode, str]] = {}
    for node in nodes:
        text = node.get_content(metadata_mode=mode)
        texts.setdefault(_key(text), (node, text))
    found = {key: value for key, value in texts.items() if key}
    if not found:
        raise QuestionError("there is no text in the nodes to ask questions about; check what was loaded")
    return [value for key, value in found.items() if len(key) >= 80] or list(found.values())


def _part(nodes: Sequence[BaseNode], train: int, eval_: int, *, seed: int) -> tuple[list[BaseNode], list[BaseNode]]:
    """Part nodes into those for training and those for evaluation, in blocks of neighbours."""
    if not train or not eval_:
        return (list(nodes), []) if train else ([], list(nodes))
    usable = [node for node, _ in _usable(nodes, MetadataMode.NONE)]
    if len(usable) < 2:
        raise QuestionError(
            "one chunk of text cannot give both training and evaluation questions; add documents or use a "
            "smaller chunk_size"
        )
    blocks = _blocks(usable)
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


def _pick(chunks: list[_Chunk], wanted: int, avoid: set[str]) -> list[tuple[_Chunk, str]]:
    """Take one question of each chunk in turn, in the order of the document, none twice."""
    taken = set(avoid)
    picked: list[tuple[_Chunk, str]] = []
    queues = [(chunk, iter(chunk.found.items())) for chunk in chunks if chunk.found]
    while queues and len(picked) < wanted:
        left = []
        for chunk, queue in queues:
            fresh = next(((key, text) for key, text in queue if key not in taken), None)
            if fresh is not None and len(picked) < wanted:
                taken.add(fresh[0])
                picked.append((chunk, fresh[1]))
                left.append((chunk, queue))
        queues = left
    return picked


def _check_harvest(chunks: list[_Chunk], found: int, *, wanted: int | None) -> None:
    asked = [chunk for chunk in chunks if chunk.asked]
    errors = [chunk.error for chunk in asked if chunk.error is not None]
    if errors and len(errors) == len(asked):
        raise QuestionError(
            f"all {len(asked)} calls for questions failed, the first with {_cause(errors[0])}; check the model, "
            "the endpoint and its limits, and try again"
        ) from errors[0]
    if not found:
        raise QuestionError(
            f"none of {len(asked)} replies held a new question; use a stronger model or another question_gen_query"
        )
    if errors:
        logger.warning("%s of %s calls for questions failed and were left out", len(errors), len(asked))
    if wanted is not None and found < wanted:
        logger.warning("%s of %s questions: %s chunks of text gave no more", found, wanted, len(asked))


def _cause(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"


def _shifted(on_progress: OnProgress | None, *, by: int, total: int) -> OnProgress | None:
    return None if on_progress is None else lambda done, _: on_progress(by + done, total)


@contextmanager
def _progress(on_progress: OnProgress | None, *, shown: bool) -> Iterator[OnProgress]:
    told = on_progress or (lambda _done, _total: None)
    if not shown:
        yield told
        return
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    with tqdm(desc="Generating questions", unit="question") as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            told(done, total)

        yield report


def _source(node: BaseNode) -> str | None:
    name, page = node.metadata.get("file_name"), node.metadata.get("page_label")
    if not name:
        return None
    return f"{name} p. {page}" if page else str(name)


def _has_keywords(node: BaseNode, required: list[str] | None, excluded: list[str] | None) -> bool:
    text = node.get_content(MetadataMode.NONE)
    return (not required or any(_has_word(text, word) for word in required)) and not any(
        _has_word(text, word) for word in excluded or ()
    )


def _has_word(text: str, word: str) -> bool:
    # Chinese puts no space between words, so there a part of the text is a word.
    edge = "" if _HAN.search(word) else r"\b"
    return re.search(rf"{edge}{re.escape(word)}{edge}", text) is not None


_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")


def _is_chinese(text: str) -> bool:
    """Whether text is mostly Chinese, and not Japanese."""
    han = len(_HAN.findall(text))
    latin = sum(character.isalpha() for character in text) - han
    return han * 3 > latin and han > 10 * len(_KANA.findall(text))


def _key(text: str) -> str:
    """What is left of a question when case, width and punctuation do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"\s*(?:[-*•‣▪–—>#|]+(?=\s|\*|$)|\(?\d{1,3}\s*(?:[.):：）](?!\d)|[、])|\d{1,3}\s+[-|]\s|[([]?[a-zA-Z][.)\]]\s"
    r"|(?:Q|Question|问题?)\s*\d{0,3}\s*[.):：）、]|第?[一二三四五六七八九十]{1,3}[、.：])\s*",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|okay|ok|here (?:are|is)|below are|the following)\b[^?？]{0,200}?[:：]\s*",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"(?:would you like|do you (?:want|need)|shall i|should i|can i help|is there anything else|need more|"
    r"how (?:can|may) i (?:help|assist)|您?(?:是否)?(?:还)?需要我|还有什么(?:可以|需要))",
    re.IGNORECASE,
)
_ANSWER_AFTER = re.compile(r"([?？؟])[\"'”’*_)）]*\s*(?:[(（\[]|[-–—]\s|(?:answer|a|答案?)\s*[:：]).*\Z", re.IGNORECASE)
_ASKS_IN_ENGLISH = re.compile(r"(?:what|how|why|when|where|who|whom|whose|which)\b.*[^.:;!,]\Z", re.IGNORECASE)
_ASKS_IN_CHINESE = re.compile(r"什么|多少|如何|怎么|怎样|为何|哪|是谁|几个|是否|[吗呢]")
_WRAPPING = " \t\"'“”‘’`*_|,，「」『』[]"


def _questions_in(reply: str) -> list[str]:
    """The questions among the lines of a reply, without numbers, bullets, quotes and markdown."""
    lines = (_bare(line) for line in _THOUGHT.sub("", reply).splitlines())
    return [line for line in lines if _is_question(line)]


def _bare(line: str) -> str:
    text = line.replace("**", "").strip(_WRAPPING)
    for pattern in (_LABEL, _LABEL, _PREAMBLE, _LABEL):
        match = pattern.match(text)
        text = text[match.end() :].strip(_WRAPPING) if match else text
    return " ".join(_ANSWER_AFTER.sub(r"\1", text).split())


def _is_question(text: str) -> bool:
    chinese = len(_HAN.findall(text))
    if len(text) > LONGEST_QUESTION or (len(text.split()) < 3 and chinese < 4) or _CHATTER.match(text):
        return False
    if text.endswith(("?", "？", "؟", "か。")):
        return True
    if chinese * 2 > len(text):
        return _ASKS_IN_CHINESE.search(text) is not None and not text.endswith((":", "："))
    return _ASKS_IN_ENGLISH.fullmatch(text) is not None


def _read_file(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise QuestionError(f"{path}: cannot be read ({exc.strerror}); check the path and its permissions") from exc
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        number = data.count(b"\n", 0, exc.start) + 1
        raise QuestionError(f"{path} line {number}: is not UTF-8 text; save the file as UTF-8") from exc
    # Not splitlines(): U+2028 and its like are part of a question.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_row(line: str, split: Split | None) -> Question:
    try:
        row: Any = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as exc:
        raise ValueError(f"is not JSON ({exc})") from exc
    if not isinstance(row, Mapping):
        raise ValueError('is not a JSON object such as {"question": "..."}')  # noqa: TRY004 - one kind of refusal
    text = row.get("text") or row.get("question")
    node_id, source, own_split = row.get("node_id"), row.get("source"), row.get("split", split or "train")
    if not isinstance(text, str):
        raise ValueError('has no question: write it as {"question": "..."}')  # noqa: TRY004 - as above
    if own_split not in ("train", "eval"):
        raise ValueError(f'its "split" is {str(own_split)[:40]!r} and must be "train" or "eval"')
    if not all(value is None or isinstance(value, str) for value in (node_id, source)):
        raise ValueError('its "node_id" and "source" must be text')
    return Question.make(_checked(text), node_id=node_id, source=source, split=own_split)


def _checked(text: str) -> str:
    if not _key(text):
        raise ValueError("has no word in it")
    if len(text) > 10_000 or "\0" in text:
        raise ValueError(f"is no question ({len(text)} characters, perhaps another kind of file)")
    return text
