"""From what a user has to an engine factory: a function that makes the same query engine around any LLM.

In: a factory, its name as `package.module:factory`, a `RetrieverQueryEngine` (rebuilt, never mutated), or the
nodes of documents. Out: `EngineFactory`. Retriever, prompts and postprocessors are the same for every LLM, so
that teacher, base and tuned model differ in nothing else. Knows nothing of questions and arms.
"""

from __future__ import annotations

import copy
import importlib
import logging
import shutil
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import BaseNode

from llama_index_ft_rag.errors import ConfigurationError, EngineError, FtRagError

EngineFactory = Callable[[LLM], BaseQueryEngine]
"""Makes the app's query engine with a given LLM."""

_LOG = logging.getLogger(__name__)

FACTORY_EXAMPLE = "write a function such as `def build_engine(llm): return index.as_query_engine(llm=llm)` and pass it"


def as_engine_factory(engine: EngineFactory | BaseQueryEngine | str) -> EngineFactory:
    """Turn a factory, a factory's name or a `RetrieverQueryEngine` into a checked engine factory.

    Raises:
        EngineError: If it is none of these, or cannot be imported. The factory itself raises it when it returns
            no query engine.
    """
    if isinstance(engine, str):
        return as_engine_factory(import_factory(engine))
    if isinstance(engine, BaseQueryEngine):
        if type(engine) is not RetrieverQueryEngine:
            raise EngineError(
                f"an engine of type {type(engine).__name__} cannot be rebuilt around another LLM; {FACTORY_EXAMPLE}"
            )
        return lambda llm: rebuild_engine(engine, llm)
    if not callable(engine):
        raise EngineError(f"{type(engine).__name__} is neither a factory nor a query engine; {FACTORY_EXAMPLE}")
    return lambda llm: _checked(engine, llm)


def import_factory(name: str) -> EngineFactory:
    """Import `package.module:factory`, from the current folder too.

    Raises:
        EngineError: If the name has another form, or the module or the factory is not there.
    """
    try:
        return import_named(name, what="engine", example="my_app.rag:build_engine", kind="factory")  # type: ignore[no-any-return]
    except ConfigurationError as exc:
        raise EngineError(str(exc)) from exc.__cause__


def import_named(name: str, *, what: str, example: str, kind: str = "function") -> Any:
    """Import `package.module:name`, from the current folder too.

    Args:
        name: As the user gave it.
        what: What it is for, to say in errors.
        example: Of a good name, to say in errors.
        kind: What is imported, to say in errors.

    Raises:
        ConfigurationError: If the name has another form, or the module or the name in it is not there.
    """
    module_name, colon, attribute = name.partition(":")
    # An empty part is a relative name, which would need a package to start from.
    if not (colon and attribute and all(module_name.split("."))):
        raise ConfigurationError(f"{what} {name!r}: not of the form package.module:{kind}; write e.g. {example}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:
        step = "run from the folder that holds it" if isinstance(exc, ImportError) else "mend it and run again"
        raise ConfigurationError(
            f"{what} {name!r}: module {module_name!r} cannot be imported ({_cause(exc)}); {step}"
        ) from exc
    found = getattr(module, attribute, None)
    if found is None:
        raise ConfigurationError(
            f"{what} {name!r}: module {module_name!r} has no {attribute!r}; check the name after the colon"
        )
    return found


def rebuild_engine(engine: RetrieverQueryEngine, llm: LLM) -> RetrieverQueryEngine:
    """Make a copy of a `RetrieverQueryEngine` that asks `llm`; the engine passed stays as it is."""
    # LlamaIndex has no public way to read these two back from an engine (core 0.14).
    synthesizer = engine._response_synthesizer  # noqa: SLF001
    postprocessors = engine._node_postprocessors  # noqa: SLF001
    return RetrieverQueryEngine(
        retriever=engine.retriever,
        response_synthesizer=_copy_synthesizer(synthesizer, llm),
        node_postprocessors=list(postprocessors),
        callback_manager=engine.callback_manager,
    )


def index_nodes(nodes: Sequence[BaseNode], *, embed_model: BaseEmbedding, folder: Path) -> VectorStoreIndex:
    """Make a `VectorStoreIndex` and keep it in `folder`; the second time it is read back from there.

    What is there and cannot be read is put aside under another name, and the index is made again.
    """
    if folder.exists():
        try:
            return _load_index(folder, embed_model)
        # LlamaIndex checks nothing it reads: a damaged file ends in any of these.
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as exc:
            aside = _put_aside(folder)
            _LOG.warning("%s: not an index that can be read (%s); moved to %s and made again", folder, exc, aside.name)
    index = VectorStoreIndex(nodes=list(nodes), embed_model=embed_model)
    # Whole under another name first: a process killed half-way must not leave half an index.
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    index.storage_context.persist(persist_dir=str(unfinished))
    unfinished.chmod(0o700)
    unfinished.rename(folder)
    return index


def reopen_index(index: VectorStoreIndex, *, embed_model: BaseEmbedding) -> VectorStoreIndex:
    """The same index, sharing its storage, with another object for the same embedding model."""
    return VectorStoreIndex(
        index_struct=index.index_struct, storage_context=index.storage_context, embed_model=embed_model
    )


def nodes_behind(engine: BaseQueryEngine) -> list[BaseNode]:
    """The nodes an engine's retriever searches, where its document store says; else none."""
    retriever = getattr(engine, "retriever", None)
    docstore = getattr(retriever, "_docstore", None)
    docs = getattr(docstore, "docs", None)
    return [node for node in docs.values() if isinstance(node, BaseNode)] if isinstance(docs, dict) else []


def _load_index(folder: Path, embed_model: BaseEmbedding) -> VectorStoreIndex:
    storage = StorageContext.from_defaults(persist_dir=str(folder))
    index = load_index_from_storage(storage, embed_model=embed_model)
    if not isinstance(index, VectorStoreIndex):
        raise TypeError(f"it is a {type(index).__name__}")
    # A file that is JSON of another kind reads as a store that holds nothing.
    for node_id in index.index_struct.nodes_dict.values():
        index.docstore.get_node(node_id)
        index.vector_store.get(node_id)  # type: ignore[attr-defined]  # of the default store, which made the files
    return index


def _put_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.unreadable-{number}")).exists():
        number += 1
    return folder.rename(aside)


def _checked(factory: EngineFactory, llm: LLM) -> BaseQueryEngine:
    name = getattr(factory, "__name__", type(factory).__name__)
    try:
        engine = factory(llm)
    except FtRagError:
        raise
    except Exception as exc:
        raise EngineError(
            f"engine factory {name!r} failed when called with one LLM ({_cause(exc)}); {FACTORY_EXAMPLE}"
        ) from exc
    if not isinstance(engine, BaseQueryEngine):
        raise EngineError(
            f"engine factory {name!r} returned {type(engine).__name__}, not a query engine; {FACTORY_EXAMPLE}"
        )
    return engine


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _copy_synthesizer(synthesizer: BaseSynthesizer, llm: LLM) -> BaseSynthesizer:
    clone = copy.copy(synthesizer)
    clone._llm = llm  # noqa: SLF001 - LlamaIndex offers no setter
    for name, value in vars(synthesizer).items():
        # Refine keeps a method of its own as program factory: the copy's must ask the copy's LLM.
        if isinstance(value, types.MethodType) and value.__self__ is synthesizer:
            setattr(clone, name, types.MethodType(value.__func__, clone))
    return clone
