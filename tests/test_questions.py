"""Questions: how they are spread, asked for and cleaned, how the splits stay apart, and how files are read."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from llama_index.core import Settings
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import BaseNode, Document, NodeRelationship, RelatedNodeInfo, TextNode
from pydantic import PrivateAttr

from llama_index_ft_rag.documents import load_documents, split_documents
from llama_index_ft_rag.endpoints import Endpoint
from llama_index_ft_rag.errors import ConfigurationError, QuestionError
from llama_index_ft_rag.questions import (
    QUESTION_QUERY,
    DatasetGenerator,
    Question,
    generate_train_and_eval,
    read_questions,
    write_questions,
)

DATA = os.environ.get("FT_RAG_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="FT_RAG_TEST_DATA names no folder of real documents")

Reply = Callable[[str, int], str]


def chapter(number: int) -> str:
    """Text about one topic, long enough to be asked about."""
    return f"Topic{number} is described here. " + "It has many sides that a reader may want to know. " * 3


def chapters(count: int) -> list[BaseNode]:
    """One node per topic, as pages of a report."""
    return [
        TextNode(id_=f"n{number}", text=chapter(number), metadata={"file_name": "r.pdf", "page_label": str(number)})
        for number in range(count)
    ]


def numbered(topic: str, count: int) -> str:
    """The reply of a model that does as it is told."""
    return "\n".join(f"{number}. What is side {number} of {topic} like?" for number in range(1, count + 1))


class FakeWriter(CustomLLM):
    """Writes as many questions as it is asked for about the topic of the context; notes every call."""

    _reply: Reply = PrivateAttr()
    _prompts: list[str] = PrivateAttr(default_factory=list)
    _flying: int = PrivateAttr(default=0)
    _peak: int = PrivateAttr(default=0)

    def __init__(self, reply: Reply = numbered, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reply = reply

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="fake-writer")

    @property
    def prompts(self) -> list[str]:
        return self._prompts

    @property
    def peak(self) -> int:
        return self._peak

    @property
    def topics(self) -> list[str]:
        return [re.findall(r"Topic\d+|主题\d+", prompt)[0] for prompt in self._prompts]

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise AssertionError("questions are asked for side by side")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise AssertionError("questions are not streamed")

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._prompts.append(prompt)
        self._flying += 1
        self._peak = max(self._peak, self._flying)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            return CompletionResponse(text=self._reply(self.topics[self._prompts.index(prompt)], _asked(prompt)))
        finally:
            self._flying -= 1


def _asked(prompt: str) -> int:
    found = re.search(r"Write (\d+) questions|写出(\d+)个问题", prompt)
    return int(found[1] or found[2]) if found else 0


def failing(*topics: int) -> Reply:
    """A reply that fails for some topics, for all if none is named."""

    def reply(topic: str, count: int) -> str:
        if not topics or int(topic[5:]) in topics:
            raise RuntimeError(f"429 for {topic}")
        return numbered(topic, count)

    return reply


# --- how questions are spread over the document


def test_questions_come_from_the_whole_document() -> None:
    """40 questions over 60 chunks come from 40 chunks, evenly, with one small call each."""
    llm = FakeWriter()

    questions = DatasetGenerator(chapters(60), llm).generate(40)

    places = [int(str(question.node_id)[1:]) for question in questions]
    assert len(questions) == len(set(places)) == len(llm.prompts) == 40
    assert places == sorted(places)
    assert max(right - left for left, right in itertools.pairwise(places)) == 2
    assert {_asked(prompt) for prompt in llm.prompts} == {2}


def test_every_chunk_is_asked_before_one_is_asked_for_more() -> None:
    """10 questions over 4 chunks are shared out: two or three each and one in reserve."""
    llm = FakeWriter()

    questions = DatasetGenerator(chapters(4), llm).generate(10)

    assert [question.node_id for question in questions] == [*("n0", "n1", "n2", "n3") * 2, "n0", "n1"]
    assert sorted(_asked(prompt) for prompt in llm.prompts) == [3, 3, 4, 4]


def test_a_question_says_where_it_comes_from() -> None:
    """Id, node, source and split of a question are whole; the id is a hash of text and node."""
    (question,) = DatasetGenerator(chapters(1), FakeWriter()).generate(1, split="eval")

    assert question == Question(
        id=Question.make("What is side 1 of Topic0 like?", node_id="n0").id,
        text="What is side 1 of Topic0 like?",
        node_id="n0",
        source="r.pdf p. 0",
        split="eval",
    )
    assert re.fullmatch("[0-9a-f]{12}", question.id)


def test_the_source_is_what_the_node_knows() -> None:
    """Without a page the file is the source, without a file there is none."""
    nodes = [TextNode(text=chapter(1), metadata={"file_name": "a.md"}), TextNode(text=chapter(2))]

    assert [question.source for question in DatasetGenerator(nodes, FakeWriter()).generate(2)] == ["a.md", None]


def test_the_same_seed_gives_the_same_questions() -> None:
    """Same seed, nodes and model: identical questions; another seed begins elsewhere."""
    first, second, other = (DatasetGenerator(chapters(60), FakeWriter(), seed=s).generate(7) for s in (1, 1, 2))

    assert first == second
    assert [question.node_id for question in first] != [question.node_id for question in other]


def test_without_a_number_every_chunk_is_asked_for_all(caplog: pytest.LogCaptureFixture) -> None:
    """The old class's default: as many per chunk as num_questions_per_chunk says."""
    texts = DatasetGenerator(chapters(3), FakeWriter(), num_questions_per_chunk=4).generate_questions_from_nodes()

    assert len(texts) == len(set(texts)) == 12
    assert texts[:2] == ["What is side 1 of Topic0 like?", "What is side 1 of Topic1 like?"]
    assert caplog.messages == []


def test_fewer_than_asked_is_returned_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Two chunks with at most three questions each give six of fifty."""
    questions = DatasetGenerator(chapters(2), FakeWriter(), num_questions_per_chunk=3).generate(50)

    assert len(questions) == 6
    assert caplog.messages == ["6 of 50 questions: 2 chunks of text gave no more"]


def test_chunks_that_gave_all_are_asked_for_more_when_others_gave_nothing() -> None:
    """The share of a barren chunk comes from the others."""
    llm = FakeWriter(lambda topic, count: "" if topic == "Topic1" else numbered(topic, count))

    questions = DatasetGenerator(chapters(2), llm).generate(6)

    assert [question.node_id for question in questions] == ["n0"] * 6
    assert llm.topics == ["Topic0", "Topic1", "Topic0"]


def test_barren_text_ends_the_search() -> None:
    """A model that never writes a question is not asked about all of a long document."""
    llm = FakeWriter(lambda topic, count: "I cannot help with that.")

    with pytest.raises(QuestionError, match="none of 7 replies held a new question; use a stronger model"):
        DatasetGenerator(chapters(100), llm).generate(1)
    assert len(llm.prompts) == 7


def test_short_and_repeated_chunks_are_passed_over() -> None:
    """Near-empty pages and copies of a page are asked about only where there is nothing else."""
    page = chapters(1)[0]
    nodes = [TextNode(text="Topic9 page"), page, TextNode(text=" -- "), TextNode(text=page.get_content().upper())]

    questions = DatasetGenerator(nodes, FakeWriter()).generate(3)

    assert {question.node_id for question in questions} == {"n0"}
    assert DatasetGenerator(nodes[:1], FakeWriter()).generate_questions_from_nodes(1)


def test_no_text_at_all_is_refused() -> None:
    """Nothing can be asked about blank nodes."""
    with pytest.raises(QuestionError, match="there is no text in the nodes"):
        DatasetGenerator([TextNode(text=" \n")], FakeWriter()).generate(1)


def test_no_question_is_asked_for_zero() -> None:
    """Zero questions cost nothing; fewer than zero is a mistake."""
    llm = FakeWriter()

    assert DatasetGenerator(chapters(1), llm).generate(0) == []
    assert llm.prompts == []
    with pytest.raises(ConfigurationError, match="num=-1 is no number of questions"):
        DatasetGenerator(chapters(1), llm).generate(-1)


# --- how models are asked


@pytest.mark.parametrize("concurrency", [1, 5])
def test_calls_in_flight_are_bounded(concurrency: int) -> None:
    """No more calls at a time than concurrency says, and as many."""
    llm = FakeWriter()

    DatasetGenerator(chapters(30), llm, concurrency=concurrency).generate(30)

    assert llm.peak == concurrency


def test_a_failing_chunk_loses_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Other chunks make up for it; the failure is logged and counted."""
    generator = DatasetGenerator(chapters(60), FakeWriter(failing(*range(0, 60, 4))))

    questions = generator.generate(40)

    assert len(questions) == 40
    assert generator.failed_chunks == 10
    assert caplog.messages.count("No questions about node n4: RuntimeError: 429 for Topic4") == 1
    assert caplog.messages[-1] == "10 of 40 calls for questions failed and were left out"


def test_when_every_chunk_fails_the_first_cause_is_told() -> None:
    """The error names the first failure and is chained to it; a long document is not asked to its end."""
    llm = FakeWriter(failing())

    with pytest.raises(QuestionError) as caught:
        DatasetGenerator(chapters(60), llm).generate(10)

    first = llm.topics[0]
    assert str(caught.value) == (
        f"all 10 calls for questions failed, the first with RuntimeError: 429 for {first}; "
        "check the model, the endpoint and its limits, and try again"
    )
    assert str(caught.value.__cause__) == f"429 for {first}"


def test_a_refused_model_stops_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What no further call can heal is raised as the service said it, not once per chunk."""
    llm = Endpoint.for_offline(tmp_path).llm("no-such-model", max_retries=0)

    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        DatasetGenerator(chapters(60), llm, concurrency=1).generate(40)
    assert caplog.messages == []


def test_chinese_text_is_asked_about_in_chinese() -> None:
    """The request is in Chinese for Chinese text and in English for English and Japanese text."""
    japanese = "Topic3 この会社の売上は増加しました。これはとても良いことであると経営者は述べています。" * 4
    texts = ["主题1。公司今年的收入增长了百分之二十，需求将继续增长。" * 5, chapter(2), japanese]
    llm = FakeWriter(lambda topic, count: f"1、{topic}的收入是多少？\n2、{topic}为何增长？")

    questions = DatasetGenerator([TextNode(text=text) for text in texts], llm, concurrency=1).generate(3)

    assert [question.text for question in questions] == [
        "主题1的收入是多少？",
        "Topic2的收入是多少？",
        "Topic3的收入是多少？",
    ]
    assert [("请用中文" in prompt, "language of the context" in prompt) for prompt in llm.prompts] == [
        (True, False),
        (False, True),
        (False, True),
    ]


def test_the_prompt_shows_the_context_and_says_that_only_questions_are_wanted() -> None:
    """A call for questions has the shape by which recorders and the offline models know it."""
    llm = FakeWriter()

    DatasetGenerator(chapters(1), llm).generate(2)

    assert llm.prompts == [
        f"Context information is below.\n---------------------\n{chapter(0)}\n---------------------\n"
        "With this context and no prior knowledge, generate only questions based on the below query.\n"
        f"{QUESTION_QUERY.replace('{num}', '3')}\n"
    ]


def test_own_prompts_are_used_as_they_are() -> None:
    """Template and query of the caller replace ours; {num} becomes the number; braces in the text are harmless."""
    llm = FakeWriter()
    node = TextNode(text="{not} a field. " + chapter(1))

    DatasetGenerator(
        [node],
        llm,
        text_question_template=PromptTemplate("T {context_str} Q {query_str}"),
        question_gen_query="Write {num} questions about risk.",
    ).generate(3)

    assert llm.prompts == [f"T {node.text} Q Write 4 questions about risk."]


def test_prompts_can_be_read_and_replaced() -> None:
    """The prompts are reachable in LlamaIndex's way."""
    generator = DatasetGenerator(chapters(1), FakeWriter())
    template = PromptTemplate("{context_str} {query_str}")

    generator.update_prompts({"text_question_template": template})

    assert sorted(generator.get_prompts()) == ["text_qa_template", "text_question_template"]
    assert generator.get_prompts()["text_question_template"] == template


# --- the old class's ways


def test_arguments_keep_the_old_names_and_order() -> None:
    """Code written for LlamaIndex's class runs unchanged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from llama_index.core.evaluation import DatasetGenerator as Old

        old = [inspect.signature(f).parameters for f in (Old.__init__, Old.from_documents)]
    new = [inspect.signature(f).parameters for f in (DatasetGenerator.__init__, DatasetGenerator.from_documents)]

    assert [list(parameters)[: len(names)] for parameters, names in zip(new, old, strict=True)] == [
        list(names) for names in old
    ]


def test_documents_are_split_and_chosen_by_keywords() -> None:
    """from_documents keeps what holds a required word and no excluded one, whole words only."""
    texts = [f"{chapter(1)} Risk.", f"{chapter(2)} Risky.", f"{chapter(3)} Risk. Draft.", f"{chapter(4)} 收入增长"]

    generator = DatasetGenerator.from_documents(
        [Document(text=text) for text in texts],
        llm=FakeWriter(),
        required_keywords=["Risk", "增长"],
        exclude_keywords=["Draft"],
    )

    assert [node.get_content() for node in generator.nodes] == [texts[0], texts[3]]


def test_the_llm_of_settings_is_the_default() -> None:
    """Without an LLM the one of Settings writes."""
    before, Settings.llm = Settings._llm, FakeWriter()

    try:
        texts = DatasetGenerator(chapters(1)).generate_questions_from_nodes(1)
    finally:
        Settings._llm = before

    assert texts == ["What is side 1 of Topic0 like?"]


@pytest.mark.parametrize("make", [DatasetGenerator, DatasetGenerator.from_documents])
def test_service_context_is_refused_with_what_to_write(make: Callable[..., Any]) -> None:
    """The argument that LlamaIndex swallows silently is told apart."""
    with pytest.raises(ConfigurationError, match=r"write DatasetGenerator\(nodes, llm=\.\.\.\)"):
        make([], service_context=object())


def test_nothing_per_chunk_is_refused() -> None:
    """At least one question per chunk is needed."""
    with pytest.raises(ConfigurationError, match="num_questions_per_chunk=0 asks for nothing"):
        DatasetGenerator(chapters(1), FakeWriter(), num_questions_per_chunk=0)


def test_unreadable_nltk_data_is_explained() -> None:
    """NLTK's refusal of hard-linked files names the cure."""

    class Refusing(SentenceSplitter):
        def split_text_metadata_aware(self, text: str, metadata_str: str) -> list[str]:
            raise PermissionError("refusing multiply-linked file")

    with pytest.raises(ConfigurationError, match="reinstall llama-index-core with UV_LINK_MODE=copy"):
        DatasetGenerator.from_documents([Document(text="x")], FakeWriter(), [Refusing()])


async def test_it_works_inside_a_running_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """Notebooks may use the sync and the async way; the progress bar is on stderr and on request."""
    generator = DatasetGenerator(chapters(4), FakeWriter(), show_progress=True)

    texts = generator.generate_questions_from_nodes(4)

    assert texts == await generator.agenerate_questions_from_nodes(4)
    assert "Generating questions: 100%" in capsys.readouterr().err


async def test_progress_is_told_in_questions() -> None:
    """After each reply and at the end the caller learns how many questions there are."""
    told: list[tuple[int, int]] = []

    await DatasetGenerator(chapters(3), FakeWriter()).agenerate(3, on_progress=lambda *now: told.append(now))

    assert told == [(1, 3), (2, 3), (3, 3), (3, 3)]


# --- what counts as a question


def parsed(reply: str) -> list[str]:
    """The questions kept of one reply."""
    return DatasetGenerator(chapters(1), FakeWriter(lambda *_: reply)).generate_questions_from_nodes()


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("1. What is X in 2023?", "What is X in 2023?"),
        ("  12) **How did revenue change?**", "How did revenue change?"),
        ('- "Why did it fall?"', "Why did it fall?"),
        ("* Q3: Which segment grew? (page 3)", "Which segment grew?"),
        ("**Question 4:** What is bold?", "What is bold?"),
        ("(5) Who audits the company? Answer: PwC", "Who audits the company?"),
        ("a) When was it founded", "When was it founded"),
        ("| 6 | Is it listed? |", "Is it listed?"),
        ('["What is one item?",', "What is one item?"),
        ("Sure! Here are some: What is the last one?", "What is the last one?"),
        ("1.5 million shares were issued by whom?", "1.5 million shares were issued by whom?"),
        ("10-K filings are due when?", "10-K filings are due when?"),
        ("1、公司的收入是多少？", "公司的收入是多少？"),
        ("问题2：需求为何增长", "需求为何增长"),
        ("三、公司的员工有几人？", "公司的员工有几人？"),
        ("¿Cuál es el ingreso neto?", "¿Cuál es el ingreso neto?"),
        ("<think>What do they want?\n1. Is this it now?</think>\nWhat is X made of?", "What is X made of?"),
    ],
)
def test_lines_are_stripped_to_the_question(line: str, question: str) -> None:
    """Numbers, bullets, quotes, markdown, labels, answers and thoughts around a question are not part of it."""
    assert parsed(line) == [question]


def test_what_is_no_question_is_left_out() -> None:
    """Preambles, statements, empty and endless lines, chatter and repetitions are not questions."""
    reply = """Sure, here are 10 questions:
        What is the revenue?
        Here are the questions you asked for.
        Empty Response
        Why?
        what is the REVENUE
        The company grew.
        What follows is a list:
        以下是三个问题：
        Would you like more questions?
        以上内容描述了公司的收入。"""

    assert parsed(reply + "\n" + "What is " + "very " * 100 + "long?") == ["What is the revenue?"]


# --- training and evaluation


async def test_the_splits_come_from_different_nodes() -> None:
    """Both splits are spread over the report, share no node and no question, and keep their numbers."""
    told: list[tuple[int, int]] = []

    made = await generate_train_and_eval(
        chapters(60), FakeWriter(), train=20, eval_=10, on_progress=lambda *now: told.append(now)
    )

    nodes = {s: {int(str(q.node_id)[1:]) for q in made if q.split == s} for s in ("train", "eval")}
    assert [question.split for question in made] == ["train"] * 20 + ["eval"] * 10
    assert not nodes["train"] & nodes["eval"]
    assert all(min(places) < 12 and max(places) > 47 for places in nodes.values())
    assert told[-1] == (30, 30)


async def test_no_question_is_in_both_splits() -> None:
    """A model that asks the same everywhere fills one split; neither do questions to avoid come up again."""

    def reply(topic: str, count: int) -> str:
        return f"What is the revenue?\nWhat is the profit?\nWhat about {topic} exactly?"

    made = await generate_train_and_eval(
        chapters(8), FakeWriter(reply), train=4, eval_=2, avoid=iter(["what is the PROFIT?"])
    )

    keys = [question.text for question in made]
    assert len(keys) == len(set(keys)) == 6
    assert keys.count("What is the revenue?") == 1
    assert "What is the profit?" not in keys


async def test_the_same_seed_parts_the_nodes_the_same_way() -> None:
    """Questions of both splits can be made again."""
    first, second, other = [
        await generate_train_and_eval(chapters(40), FakeWriter(), train=9, eval_=9, seed=seed) for seed in (3, 3, 5)
    ]

    assert first == second
    assert first != other


async def test_text_that_neighbours_share_is_asked_about_in_one_split_only() -> None:
    """Where chunks overlap across the splits, the later one is shown without the shared words."""
    document = Document(id_="d", text="".join(chapter(number) for number in range(30)))
    nodes = split_documents([document], chunk_size=80, chunk_overlap=30)
    llm = FakeWriter()

    await generate_train_and_eval(nodes, llm, train=60, eval_=60, concurrency=1)

    shown = [prompt.split("---------------------")[1].strip() for prompt in llm.prompts]
    originals = [node.get_content() for node in nodes]
    trimmed = [text for text in shown if text not in originals]
    assert trimmed
    assert all(any(original.endswith(text) for original in originals) for text in trimmed)
    assert [node.get_content() for node in nodes] == originals


async def test_one_split_alone_may_use_every_node() -> None:
    """Where the other split's questions exist already, nothing is set aside."""
    made = await generate_train_and_eval(chapters(3), FakeWriter(), train=0, eval_=3)
    only_train = await generate_train_and_eval(chapters(1), FakeWriter(), train=1, eval_=0)

    assert [(question.node_id, question.split) for question in made] == [(f"n{i}", "eval") for i in range(3)]
    assert [(question.node_id, question.split) for question in only_train] == [("n0", "train")]


@pytest.mark.parametrize("seed", range(6))
async def test_two_nodes_are_enough_for_two_splits(seed: int) -> None:
    """However unlike in size and number, both splits get text."""
    nodes = [chapters(1)[0], TextNode(id_="long", text=chapter(1) * 20)]

    made = await generate_train_and_eval(nodes, FakeWriter(), train=9, eval_=1, seed=seed)

    assert {question.split for question in made} == {"train", "eval"}


async def test_one_node_cannot_be_parted() -> None:
    """Evaluation on the training text is refused, with the way out."""
    with pytest.raises(QuestionError, match="add documents or use a smaller chunk_size"):
        await generate_train_and_eval(chapters(1), FakeWriter(), train=1, eval_=1)


async def test_pages_stay_whole() -> None:
    """Chunks of one page are all on one side."""
    nodes: list[BaseNode] = []
    for number in range(60):
        page = RelatedNodeInfo(node_id=f"page{number // 2}")
        nodes.append(TextNode(id_=f"n{number}", text=chapter(number), relationships={NodeRelationship.SOURCE: page}))

    made = await generate_train_and_eval(nodes, FakeWriter(), train=60, eval_=60)

    sides = {(int(str(question.node_id)[1:]) // 2, question.split) for question in made}
    assert len(sides) == len({page for page, _ in sides})


# --- files


def refused(path: Path) -> str:
    """The message with which a file is refused, without the folder's name."""
    with pytest.raises(QuestionError) as caught:
        read_questions(path)
    return str(caught.value).rsplit("/", 1)[-1]


def test_text_files_have_one_question_per_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Byte order mark, CRLF and blank lines are fine; a repeated question is dropped and logged."""
    path = tmp_path / "q.txt"
    path.write_bytes("\ufeffWhat is X?\r\n\r\n  公司的收入是多少？ \r\nwhat is x\r\nNo\u2028break?".encode())

    questions = read_questions(path, split="eval")

    assert questions == [Question.make(t, split="eval") for t in ("What is X?", "公司的收入是多少？", "No break?")]
    assert [message.rsplit("/", 1)[-1] for message in caplog.messages] == [
        "q.txt line 4 repeats an earlier question and was dropped"
    ]


def test_questions_survive_the_file(tmp_path: Path) -> None:
    """Written and read again, questions are equal, and both splits keep their place."""
    questions = [
        Question.make("What is X?", node_id="n1", source="a.pdf p. 3"),
        Question.make("Line\u2028sep \ud800 公司?", split="eval"),
    ]

    write_questions(tmp_path / "new" / "q.jsonl", questions)

    assert read_questions(tmp_path / "new" / "q.jsonl") == questions


def test_a_split_of_a_file_can_be_read_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows of the other split are left out, rows that name none are taken."""
    caplog.set_level(logging.INFO)
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "What is A?"}\n{"text": "What is B?", "split": "train"}\n')

    assert read_questions(path, split="eval") == [Question.make("What is A?", split="eval")]
    assert [message.rsplit("/", 1)[-1] for message in caplog.messages] == ["q.jsonl: 1 of 2 questions are for eval"]


def test_utf_16_is_read_by_its_mark(tmp_path: Path) -> None:
    """What Windows calls Unicode is read."""
    (tmp_path / "q.txt").write_bytes("公司的收入是多少？".encode("utf-16"))

    assert [question.text for question in read_questions(tmp_path / "q.txt")] == ["公司的收入是多少？"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "q.jsonl: holds no question; write one question per line or name another file"),
        ('{"question": "A b?"}\n{"question": ', "q.jsonl line 2: is not JSON (Expecting value: line 1 column 14"),
        ("\n[1]", 'q.jsonl line 2: is not a JSON object such as {"question": "..."}; correct or remove this line'),
        ('{"q": "A?"}', 'q.jsonl line 1: has no question: write it as {"question": "..."}; correct or remove'),
        ('{"question": "?!"}', "q.jsonl line 1: has no word in it; correct or remove this line"),
        ('{"text": "A b?", "split": "dev"}', 'q.jsonl line 1: its "split" is \'dev\' and must be "train" or "eval"'),
        ('{"text": "A b?", "node_id": 3}', 'q.jsonl line 1: its "node_id" and "source" must be text'),
        (f'{{"text": "{"x" * 10_001}"}}', "q.jsonl line 1: is no question (10001 characters, perhaps another kind"),
        ("[" * 100_000, "q.jsonl line 1: is not JSON ("),
    ],
)
def test_unusable_lines_are_named(tmp_path: Path, content: str, message: str) -> None:
    """The message names the line, what is wrong and what to do."""
    (tmp_path / "q.jsonl").write_text(content)

    assert refused(tmp_path / "q.jsonl").startswith(message)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file, a file in another encoding and a file for another split say so."""
    (tmp_path / "latin.txt").write_bytes(b"What is X?\nCaf\xe9?")
    (tmp_path / "train.jsonl").write_text('{"text": "A b?", "split": "train"}')

    assert [refused(tmp_path / name) for name in ("none.txt", "latin.txt")] == [
        "none.txt: cannot be read (No such file or directory); check the path and its permissions",
        "latin.txt line 2: is not UTF-8 text; save the file as UTF-8",
    ]
    with pytest.raises(QuestionError, match="all its questions are marked as not for eval"):
        read_questions(tmp_path / "train.jsonl", split="eval")


# --- real data


@needs_data
def test_published_question_files_are_read_and_would_pass_our_own_rules() -> None:
    """40 questions per file of the 2023 run are read; every one would be kept of a model's reply."""
    for path in sorted((Path(str(DATA)) / "post").glob("*questions*.txt")):
        questions = read_questions(path)

        assert len(questions) == 40
        assert len(parsed(path.read_text(encoding="utf-8"))[:10]) == 10


@needs_data
async def test_a_real_report_is_asked_about_from_end_to_end() -> None:
    """40 + 40 questions about 169 pages come from 80 chunks between the first and the last pages."""
    nodes = split_documents(load_documents(Path(str(DATA)) / "tenk" / "nvidia-sec-10k-2022.pdf"))
    for number, node in enumerate(nodes):
        node.set_content(f"Topic{number} {node.get_content()}")  # type: ignore[attr-defined]

    made = await generate_train_and_eval(nodes, FakeWriter(), train=40, eval_=40)

    pages = [int(str(question.source).rsplit(" ", 1)[-1]) for question in made]
    assert len({question.node_id for question in made}) == 80
    assert min(pages) < 10
    assert max(pages) > 160
