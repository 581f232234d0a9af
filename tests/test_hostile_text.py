from __future__ import annotations

from llama_index_ft_rag.hostile_text import markdown_text, one_line, without_controls


def test_control_characters_and_lone_surrogates_are_replaced() -> None:
    """A terminal sees no escape sequence and a file can be encoded; line ends and tabs stay."""
    assert without_controls("a\x1b[31m\x00b\ud800\r\nc\rd\te") == "a\ufffd[31m\ufffdb\ufffd\nc\nd\te"


def test_one_line_is_one_line() -> None:
    """Line ends become blanks, direction marks are replaced, and a limit cuts with an ellipsis."""
    assert one_line("a\n\n b\u202ec") == "a b�c"
    assert one_line("abcdefgh", limit=5) == "abcd…"
    assert one_line("abcde", limit=5) == "abcde"


def test_markdown_has_no_effect() -> None:
    """Neither tags, images, table cells, mentions nor addresses survive."""
    assert markdown_text("![x](http://e.org) <b>|@all #1 `c` *d*") == (
        "!&#91;x&#93;(http://<!-- -->e.org) &#60;b&#62;&#124;@<!-- -->all #<!-- -->1 &#96;c&#96; &#42;d&#42;"
    )
