"""Whatever engine a user has becomes a factory, or an error that shows how to write one."""

import pytest
from llama_index.core import MockEmbedding, SummaryIndex, VectorStoreIndex
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import TextNode

from llama_index_ft_rag.engines import as_engine_factory, index_nodes, nodes_behind, rebuild_engine, reopen_index
from llama_index_ft_rag.errors import EngineError


class Saying(CustomLLM):
    """An LLM that always says the same."""

    text: str

    @property
    def metadata(self):
        return LLMMetadata(model_name=f"saying-{self.text}")

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text=self.text)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


class Fixed(CustomQueryEngine):
    """An engine that is no `RetrieverQueryEngine`."""

    def custom_query(self, query_str):
        return "fixed"


def make_index(embed_model=None):
    """Three nodes in a vector index."""
    nodes = [TextNode(id_=f"n{number}", text=f"Fact {number}.") for number in range(3)]
    return VectorStoreIndex(nodes, embed_model=embed_model or MockEmbedding(embed_dim=4))


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"])
def test_a_rebuilt_engine_asks_the_new_llm_and_the_old_one_stays(mode):
    """Every response mode moves to the new LLM as a copy."""
    engine = make_index().as_query_engine(llm=Saying(text="old"), response_mode=mode)

    rebuilt = as_engine_factory(engine)(Saying(text="new"))

    assert "new" in str(rebuilt.query("?"))
    assert "old" not in str(rebuilt.query("?"))
    assert "old" in str(engine.query("?"))


def test_a_rebuilt_engine_keeps_retriever_and_prompts():
    """Nothing but the LLM differs between the arms."""
    engine = make_index().as_query_engine(llm=MockLLM(), similarity_top_k=3)

    rebuilt = rebuild_engine(engine, Saying(text="new"))

    assert rebuilt.retriever is engine.retriever
    assert rebuilt.get_prompts() == engine.get_prompts()


def test_a_factory_is_called_with_the_llm():
    """The normal way."""
    index = make_index()

    engine = as_engine_factory(lambda llm: index.as_query_engine(llm=llm))(Saying(text="new"))

    assert isinstance(engine, RetrieverQueryEngine)
    assert str(engine.query("?")) == "new"


def test_a_factory_is_imported_by_name_from_the_current_folder(tmp_path, monkeypatch):
    """`--engine my_app.rag:build_engine` works from the app's folder."""
    package = tmp_path / "my_app_for_engines"
    package.mkdir()
    (package / "rag.py").write_text(
        "from llama_index.core import MockEmbedding, VectorStoreIndex\n"
        "def build_engine(llm):\n"
        "    index = VectorStoreIndex([], embed_model=MockEmbedding(embed_dim=4))\n"
        "    return index.as_query_engine(llm=llm)\n"
    )
    monkeypatch.chdir(tmp_path)

    engine = as_engine_factory("my_app_for_engines.rag:build_engine")(MockLLM())

    assert isinstance(engine, RetrieverQueryEngine)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (Fixed(), r"type Fixed cannot be rebuilt around another LLM; write a function such as `def build_engine"),
        (42, r"int is neither a factory nor a query engine; write a function"),
        ("my_app", r"'my_app': not of the form package.module:factory"),
        (".rag:build", r"'.rag:build': not of the form package.module:factory"),
        ("my_app..rag:build", r"'my_app..rag:build': not of the form package.module:factory"),
        ("no_such_module:f", r"module 'no_such_module' cannot be imported .* run from the folder that holds it"),
        ("json:no_such", r"module 'json' has no 'no_such'"),
    ],
)
def test_what_is_no_engine_is_refused_with_a_way_out(engine, message):
    """Each mistake has its own sentence."""
    with pytest.raises(EngineError, match=message):
        as_engine_factory(engine)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda llm: "engine", r"returned str, not a query engine"),
        (lambda: None, r"failed when called with one LLM"),
    ],
)
def test_a_factory_that_makes_no_engine_is_refused(factory, message):
    """The mistake shows when the factory is first called."""
    with pytest.raises(EngineError, match=message):
        as_engine_factory(factory)(MockLLM())


def test_an_index_is_read_back_from_its_folder(tmp_path):
    """The second run embeds nothing."""
    nodes = [TextNode(id_="n0", text="One fact.")]
    folder = tmp_path / "index"
    index_nodes(nodes, embed_model=MockEmbedding(embed_dim=4), folder=folder)

    index = index_nodes([], embed_model=MockEmbedding(embed_dim=4), folder=folder)

    assert [node.get_content() for node in nodes_behind(index.as_query_engine(llm=MockLLM()))] == ["One fact."]


def found_in(folder, nodes):
    """The texts that an index made or read in a folder finds."""
    index = index_nodes(nodes, embed_model=MockEmbedding(embed_dim=4), folder=folder)
    return [found.get_content() for found in index.as_retriever().retrieve("fact")]


@pytest.mark.parametrize("content", [None, "", '{"docstore', "\x00\ufffd", "[1, 2]", '{"schema_version": 1}'])
@pytest.mark.parametrize("name", ["docstore.json", "default__vector_store.json", "index_store.json"])
def test_a_damaged_index_is_put_aside_and_made_again(tmp_path, caplog, name, content):
    """Deleted, cut off or overwritten: the run goes on, what was there is kept, and a warning says where."""
    nodes = [TextNode(id_="n0", text="One fact.")]
    folder = tmp_path / "index"
    found_in(folder, nodes)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)

    again = [found_in(folder, nodes) for _ in range(2)]

    assert again == [["One fact."]] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "index.unreadable-1"]
    assert [record.levelname for record in caplog.records if "moved to index.unreadable-1" in record.message] == [
        "WARNING"
    ]


def test_an_index_of_another_class_is_put_aside_too(tmp_path):
    """Beside what was put aside before, and in spite of what a killed process left."""
    nodes = [TextNode(id_="n0", text="One fact.")]
    folder = tmp_path / "index"
    SummaryIndex(nodes).storage_context.persist(str(folder))
    (tmp_path / "index.unreadable-1").mkdir()
    (tmp_path / ".index.unfinished").mkdir()
    (tmp_path / ".index.unfinished" / "half").write_text("{")

    assert found_in(folder, nodes) == ["One fact."]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "index.unreadable-1", "index.unreadable-2"]
    assert not (folder / "half").exists()


def test_a_reopened_index_finds_the_same_nodes():
    """The engine handed to the user searches what the run searched."""
    index = reopen_index(make_index(), embed_model=MockEmbedding(embed_dim=4))

    found = index.as_retriever(similarity_top_k=3).retrieve("fact")

    assert sorted(node.node.node_id for node in found) == ["n0", "n1", "n2"]


def test_an_engine_without_a_document_store_has_no_known_nodes():
    """Not knowing is an empty list, not a crash."""
    assert nodes_behind(Fixed()) == []
