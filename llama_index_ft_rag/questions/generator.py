"""The generator: nodes and an LLM in, distinct questions about them out, by the arguments of LlamaIndex's old class.

The number asked for is spread over the whole document, calls in flight are bounded, and a chunk that fails loses
only itself. Knows nothing of who answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.ingestion import run_transformations
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
from llama_index.core.prompts.mixin import PromptDictType, PromptMixin, PromptMixinType
from llama_index.core.schema import BaseNode, Document, MetadataMode, TransformComponent
from openai import AuthenticationError, NotFoundError, PermissionDeniedError

from llama_index_ft_rag.concurrency import OnProgress, map_bounded, run_sync
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.questions.harvest import Chunk, cause, check_harvest, pick, plan_round
from llama_index_ft_rag.questions.passages import has_keywords, source_of, usable
from llama_index_ft_rag.questions.prompts import QUESTION_TEMPLATE, question_query
from llama_index_ft_rag.questions.question import Question, Split
from llama_index_ft_rag.questions.replies import questions_in
from llama_index_ft_rag.questions.wording import folded

logger = logging.getLogger(__name__)


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
        kept = [node for node in nodes if has_keywords(node, required_keywords, exclude_keywords)]
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
        chunks = [Chunk(node=node, text=text) for node, text in usable(self.nodes, self._metadata_mode)]
        wanted = len(chunks) * self._most_per_chunk if num is None else num
        with _progress(on_progress, shown=self._show_progress) as progress:
            picked = await self._harvest(chunks, wanted, {folded(text) for text in avoid}, progress)
        self.failed_chunks = sum(chunk.error is not None for chunk in chunks)
        check_harvest(chunks, len(picked), wanted=num)
        return [
            Question.make(text, node_id=chunk.node.node_id, source=source_of(chunk.node), split=split)
            for chunk, text in picked
        ]

    async def _harvest(
        self, chunks: list[Chunk], wanted: int, avoid: set[str], on_progress: OnProgress
    ) -> list[tuple[Chunk, str]]:
        """Ask evenly spaced chunks until there are enough questions or three rounds in a row bring none."""

        async def ask(chunk: Chunk) -> None:
            await self._ask(chunk)
            on_progress(min(wanted, sum(min(len(each.found), each.needed) for each in chunks)), wanted)

        picked: list[tuple[Chunk, str]] = []
        barren = 0
        while len(picked) < wanted and barren < 3:
            # A round that brought nothing is followed by one over twice as many chunks.
            missing, most = wanted - len(picked), self._most_per_chunk
            asked = plan_round(chunks, missing, width=2**barren, most=most, seed=self._seed)
            if not asked:
                break
            await map_bounded(ask, asked, limit=self._concurrency)
            before, picked = len(picked), pick(chunks, wanted, avoid)
            barren = 0 if len(picked) > before else barren + 1
            if len(asked) >= 5 and all(chunk.error for chunk in chunks if chunk.asked):
                break
        on_progress(len(picked), wanted)
        return picked

    async def _ask(self, chunk: Chunk) -> None:
        query = question_query(chunk.text, count=chunk.asked, own=self.question_gen_query)
        try:
            reply = await self.llm.apredict(self.text_question_template, context_str=chunk.text, query_str=query)
        except (AuthenticationError, NotFoundError, PermissionDeniedError):
            raise  # the next chunk would fail in the same way
        except Exception as exc:  # noqa: BLE001 - one chunk's failure must not lose the others' questions
            chunk.error = exc
            logger.warning("No questions about node %s: %s", chunk.node.node_id, cause(exc))
        else:
            for text in questions_in(reply):
                chunk.found.setdefault(folded(text), text)

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


def _refuse_service_context(service_context: object) -> None:
    if service_context is not None:
        raise ConfigurationError(
            "service_context=... is gone from LlamaIndex: write DatasetGenerator(nodes, llm=...) or "
            "DatasetGenerator.from_documents(documents, llm=...) instead, or set Settings.llm"
        )


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
