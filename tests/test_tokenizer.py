from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llama_index_ft_rag.tokenizer import TokenCount, count_encoded

CACHE_VARIABLES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")


@pytest.mark.parametrize(("encoding", "tokens"), [("cl100k_base", 10), ("o200k_base", 10)])
def test_tokens_are_counted_with_no_network(encoding: str, tokens: int) -> None:
    """Both encodings OpenAI's chat models use are counted from a table on this machine."""
    count = count_encoded("The quick brown fox jumps over the lazy dog.", encoding=encoding)

    assert count == TokenCount(tokens=tokens, exact=True)


def test_an_encoding_with_no_table_here_is_estimated() -> None:
    """Without a table nothing is downloaded; the count is a quarter of the characters and says so."""
    count = count_encoded("nine chars", encoding="p50k_edit_of_nowhere")

    assert count == TokenCount(tokens=3, exact=False)


def test_special_tokens_count_as_text() -> None:
    """A text with a special token in it is counted, not refused."""
    count = count_encoded("<|endoftext|>", encoding="o200k_base")

    assert count.exact
    assert count.tokens > 1


def test_the_tokenizer_is_loaded_with_the_first_text() -> None:
    """Neither the offline backend nor a look at a model loads tiktoken; counting does, from many threads at once."""
    code = """if True:
        import sys
        from concurrent.futures import ThreadPoolExecutor
        import llama_index_ft_rag.offline
        from llama_index_ft_rag.catalog import model_facts
        from llama_index_ft_rag.tokenizer import count_encoded

        print(model_facts("gpt-4.1").encoding, "tiktoken" in sys.modules)
        with ThreadPoolExecutor(8) as pool:
            counts = set(pool.map(lambda _: count_encoded("text", encoding="cl100k_base"), range(32)))
        print(counts, "tiktoken" in sys.modules)
    """

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["o200k_base False", "{TokenCount(tokens=1, exact=True)} True"]


@pytest.mark.parametrize("is_set", [True, False])
def test_the_cache_folder_of_the_user_is_left_as_it_was(tmp_path: Path, *, is_set: bool) -> None:
    """A fresh process finds the table without downloading, past a damaged one, and restores the environment."""
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    damaged = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    damaged.write_text("not the table")
    code = (
        "import os; from llama_index_ft_rag.tokenizer import count_encoded; "
        "print(count_encoded('text', encoding='cl100k_base').exact, os.environ.get('TIKTOKEN_CACHE_DIR'))"
    )
    env = {name: value for name, value in os.environ.items() if name not in CACHE_VARIABLES}
    if is_set:
        env["TIKTOKEN_CACHE_DIR"] = str(tmp_path)

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", str(tmp_path) if is_set else "None"]
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(damaged, "not the table")]


@pytest.mark.parametrize("text", [" " * 1_200_000, "\n" * 300_000, "a" * 300_000, "好" * 250_000, "\ud800"])
def test_a_hostile_text_is_counted(text: str) -> None:
    """Texts that bring the tokenizer down in one piece are counted."""
    assert count_encoded(text, encoding="o200k_base").tokens > 0


def test_a_long_text_is_counted_as_exactly_as_a_short_one() -> None:
    """A text of ordinary words is cut only where that changes nothing."""
    sentence = "The meters shipped in 2025 were 5.3 million, and none came back. "
    one = count_encoded(sentence + "x", encoding="cl100k_base").tokens - 1

    count = count_encoded(sentence * 10_000 + "x", encoding="cl100k_base")

    assert count == TokenCount(tokens=one * 10_000 + 1, exact=True)


def test_counts_add_up_and_one_estimate_makes_the_sum_one() -> None:
    """A sum is exact only where all its parts are."""
    assert TokenCount(tokens=1, exact=True) + TokenCount(tokens=2, exact=False) == TokenCount(tokens=3, exact=False)
