"""Documents: what is read from files and folders, what never reaches a prompt, and how text becomes nodes."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import llama_index.core
import pytest
from llama_index.core.schema import Document, MetadataMode

from llama_index_ft_rag import documents as documents_module
from llama_index_ft_rag.documents import load_documents, split_documents
from llama_index_ft_rag.errors import ConfigurationError, DocumentError

DATA = os.environ.get("FT_RAG_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="FT_RAG_TEST_DATA names no folder of real documents")


def make_pdf(*pages: str, labels: str = "", encrypt: bool = False) -> bytes:
    """A small PDF with one line of Helvetica per page; `labels` is a page label style such as r for i, ii, iii."""
    objects = ["<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent {2 * len(pages) + 2} 0 R /MediaBox [0 0 612 792] "
            f"/Contents {len(objects)} 0 R /Resources << /Font << /F1 1 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects.append(f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>")
    names = f"/PageLabels << /Nums [0 << /S /{labels} >>] >>" if labels else ""
    objects.append(f"<< /Type /Catalog /Pages {len(objects)} 0 R {names} >>")
    body, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"/Size {len(objects) + 1} /Root {len(objects)} 0 R"
    if encrypt:  # no password opens it, as O and U were computed from none
        trailer += f" /ID [<{'0' * 32}> <{'0' * 32}>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 "
        trailer += f"/O <{'1' * 64}> /U <{'2' * 64}> >>"
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << {trailer} >>\n"
    return f"{body}{end}startxref\n{len(body)}\n%%EOF\n".encode("latin-1")


def read_one(folder: Path, name: str, content: str | bytes) -> str:
    """The text of a file that becomes one document."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    (document,) = load_documents([path])
    return str(document.text)


def refusal(path: Path | list[Path]) -> str:
    """The message with which reading is refused, without the folder's name."""
    with pytest.raises(DocumentError) as caught:
        load_documents(path)
    return str(caught.value).rsplit("/", 1)[-1]


# --- PDF


def test_pdf_gives_one_document_per_page_with_its_number(tmp_path: Path) -> None:
    """Each page with text is a document; file name and page are its only metadata."""
    (tmp_path / "a.pdf").write_bytes(make_pdf("First page.", "", "Third page."))

    documents = load_documents([tmp_path / "a.pdf"])

    assert [(d.text, d.metadata) for d in documents] == [
        ("First page.", {"file_name": "a.pdf", "page_label": "1"}),
        ("Third page.", {"file_name": "a.pdf", "page_label": "3"}),
    ]


def test_page_labels_of_the_pdf_win_over_the_number(tmp_path: Path) -> None:
    """A page is named as the PDF names it."""
    (tmp_path / "a.pdf").write_bytes(make_pdf("One", "Two", labels="r"))

    assert [d.metadata["page_label"] for d in load_documents(tmp_path / "a.pdf")] == ["i", "ii"]


def test_encrypted_pdf_is_named_as_such(tmp_path: Path) -> None:
    """The message says that a password is missing and what to do."""
    (tmp_path / "a.pdf").write_bytes(make_pdf("Secret", encrypt=True))

    assert refusal(tmp_path / "a.pdf") == (
        "a.pdf: is encrypted and needs a password; save it without one and try again"
    )


def test_pdf_without_text_is_called_scanned(tmp_path: Path) -> None:
    """Pictures of pages need OCR first, and the message says so, also when it is all that a folder holds."""
    (tmp_path / "a.pdf").write_bytes(make_pdf("", ""))

    assert refusal(tmp_path) == "a.pdf: has no text on any of its 2 pages, it may be scanned; run OCR on it first"


def test_damaged_pdf_is_refused(tmp_path: Path) -> None:
    """Bytes that are no PDF are refused with PDFium's reason."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 not really")

    assert refusal(tmp_path / "a.pdf") == (
        "a.pdf: is not a PDF that can be read (Failed to load document (PDFium: Data format error).); "
        "open it in a viewer and save it again"
    )


# --- HTML


def test_html_gives_visible_text_only(tmp_path: Path) -> None:
    """No markup, script, style, comment, title, hidden element or inline XBRL header gets through."""
    page = """<?xml version='1.0' encoding='ASCII'?><!DOCTYPE html>
      <html><head><title>Noise</title><style>p {color: red}</style></head><body><!-- secret -->
      <div style="DISPLAY : none !important"><ix:header><ix:hidden>0000051143</ix:hidden></ix:header></div>
      <ix:header><xbrli:context>c-1</xbrli:context></ix:header>
      <p hidden>secret</p><p aria-hidden="true">secret</p><p style="color:red;visibility:hidden">secret</p>
      <span style="font-size:0px">secret</span><template>secret</template><noscript>secret</noscript>
      <h1>Annual  report</h1><p>Net&nbsp;income was <ix:nonFraction>4,368</ix:nonFraction>
      <b>million</b>.</p><script>alert("secret")</script><ul><li>One<li>Two</ul>A<br>B &lt;C&gt;</body></html>"""

    text = read_one(tmp_path, "a.html", page)

    assert text == "Annual report\n\nNet income was 4,368 million.\n\n- One\n- Two\nA\nB <C>"


def test_html_tables_become_rows(tmp_path: Path) -> None:
    """A row is a line, cells are parted by bars, and lone currency and percent signs join their figure."""
    page = """<p>Before</p><table><tr><th></th><th>2023</th><th colspan=2>Change</th></tr>
      <tr><td><div>Net</div><div>income</div></td><td>$</td><td>4,368</td><td>(55</td><td>)%</td></tr>
      <tr><td>Loss</td><td>$</td><td>(</td><td>12</td><td>)</td><td> </td><td>€</td></tr></table><p>After</p>"""

    text = read_one(tmp_path, "a.htm", page)

    assert text == "Before\n\n2023 | Change\nNet income | $4,368 | (55)%\nLoss | $(12) | €\n\nAfter"


def test_html_tables_used_for_layout_keep_the_inner_rows_apart(tmp_path: Path) -> None:
    """A table within a cell starts lines of its own."""
    page = "<table><tr><td>Menu<table><tr><td>A<td>1</tr><tr><td>B</td><td>2</td></tr></table></td></tr></table>"

    assert read_one(tmp_path, "a.xhtml", page) == "Menu\n\nA | 1\nB | 2"


def test_html_keeps_the_lines_of_preformatted_text(tmp_path: Path) -> None:
    """Line breaks in <pre> are kept."""
    assert read_one(tmp_path, "a.html", "<pre>a\n  b</pre>c") == "a\nb\nc"


def test_html_of_any_depth_and_with_open_comments_is_read(tmp_path: Path) -> None:
    """Pages made to break readers are read: endless nesting, a comment that is never closed."""
    text = read_one(tmp_path, "a.html", "<div>" * 5_000 + "deep <script>x = '<!--'</script>end<!-- secret")

    assert text == "deep end"


@pytest.mark.parametrize(
    ("hostile", "seen"),
    [
        ("<div " * 30_000, ""),
        ("<a href='>" * 30_001, ""),
        ("<![CDATA[" * 30_000, ""),
        ("<![if x>" * 30_000, ""),
        ("<!-- " * 30_000, ""),
        ("<i>a<!-- -->" * 30_000, "a" * 30_000),
        ("<br>" * 30_000 + "</i>" * 30_000 + "a", "\n\na"),
        (f"<i style='{'/*' * 30_000}'>a", "a"),
    ],
    ids=["tags", "quotes", "cdata", "sections", "comments", "elements", "ends", "styles"],
)
def test_html_full_of_what_never_ends_is_read_to_where_it_starts(tmp_path: Path, hostile: str, seen: str) -> None:
    """Thirty thousand starts without an end neither stop the reader nor show their markup."""
    assert read_one(tmp_path, "a.html", "Seen" + hostile) == "Seen" + seen


def test_html_sections_are_read_as_browsers_read_them(tmp_path: Path) -> None:
    """Character data is text, conditions and unknown sections are not."""
    page = "<![if !IE]>One <![CDATA[<two>]]> <![unknown[x]]>three<![endif]><!--[if IE]>four<![endif]--> five"

    assert read_one(tmp_path, "a.html", page) == "One <two> three five"


def test_html_may_declare_its_encoding(tmp_path: Path) -> None:
    """A page that is not UTF-8 is read in the encoding it names."""
    page = '<meta charset="gb2312"><p>收入增长</p>'.encode("gb2312")

    assert read_one(tmp_path, "a.html", page) == "收入增长"


# --- text and markdown


def test_markdown_loses_front_matter_and_comments(tmp_path: Path) -> None:
    """Front matter and HTML comments are for machines, the rest stays as written."""
    text = "---\r\ntitle: x\r\n---\r\n# Head\r\n\r\n<!-- secret -->- item  \r\n\r\n\r\n\r\n---\r\nend\r\n"

    assert read_one(tmp_path, "a.md", text) == "# Head\n\n- item\n\n---\nend"


def test_markdown_that_starts_with_a_rule_is_whole(tmp_path: Path) -> None:
    """A rule at the top is no front matter."""
    assert read_one(tmp_path, "a.markdown", "---\nText\n---\nMore") == "---\nText\n---\nMore"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_in_every_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    """UTF-8 with and without a mark, UTF-16 and UTF-32 with one."""
    assert read_one(tmp_path, "a.txt", "营业收入 €5\r\nend".encode(encoding)) == "营业收入 €5\nend"


def test_western_text_is_read_as_windows_1252(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Old Western files are read, and the log says that a guess was made."""
    text = read_one(tmp_path, "a.txt", "The café’s revenue grew by five percent.".encode("cp1252"))

    assert text == "The café’s revenue grew by five percent."
    assert [record.message.rsplit("/", 1)[-1] for record in caplog.records] == [
        "a.txt is not UTF-8 and is read as Windows-1252; save it as UTF-8 if it looks wrong"
    ]


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)) * 4, b"PK\x03\x04\0\0", "收入增长了百分之二十".encode("gbk"), b"plain \x81 text " * 9],
    ids=["bytes", "zip", "gbk", "undefined"],
)
def test_binary_and_unknown_encodings_are_refused(tmp_path: Path, data: bytes) -> None:
    """Nothing is guessed into mojibake."""
    (tmp_path / "a.txt").write_bytes(data)

    assert refusal(tmp_path) == "a.txt: is binary or in an unknown encoding; save it as UTF-8 text"


def test_invisible_characters_are_removed(tmp_path: Path) -> None:
    """Zero-width and tag characters cannot hide instructions in a prompt; ligatures become letters."""
    text = read_one(tmp_path, "a.txt", "To\u200bday\U000e0041 an\x07 e\ufb03cient\xa0fac\u00adtory opens")

    assert text == "Today an efficient factory opens"


# --- files and folders


def test_folders_are_read_recursively_in_sorted_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hidden files are passed over; unknown ones, empty ones and pages without text are skipped with a log line."""
    for name in ("b/z.txt", "b/.hidden.txt", ".git/x.txt", "a.md", "c.docx", "empty.txt", "blank.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name[0] == "e" else "<script></script>" if name[:2] == "bl" else name)
    caplog.set_level(logging.INFO)

    documents = load_documents(str(tmp_path))

    assert [(d.text, d.metadata) for d in documents] == [
        ("a.md", {"file_name": "a.md"}),
        ("b/z.txt", {"file_name": "b/z.txt"}),
    ]
    assert [record.message.rsplit("/", 1)[-1] for record in caplog.records] == [
        "c.docx was skipped: only .htm, .html, .markdown, .md, .pdf, .txt, .xhtml are read",
        "blank.html was skipped: it is empty or has no text; leave it out or choose another file",
        "empty.txt was skipped: it is empty or has no text; leave it out or choose another file",
    ]


def make_bad_files(folder: Path) -> None:
    """An encrypted PDF and a binary file."""
    (folder / "locked.pdf").write_bytes(make_pdf("Secret", encrypt=True))
    (folder / "noise.txt").write_bytes(bytes(range(256)))


def test_a_bad_file_in_a_folder_loses_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others are read, and the log names each file that was left out and why."""
    make_bad_files(tmp_path)
    (tmp_path / "good.md").write_text("Good")

    documents = load_documents(tmp_path)

    assert [d.text for d in documents] == ["Good"]
    assert [(record.levelname, record.message.rsplit("/", 1)[-1]) for record in caplog.records] == [
        ("WARNING", "locked.pdf was skipped: it is encrypted and needs a password; save it without one and try again"),
        ("WARNING", "noise.txt was skipped: it is binary or in an unknown encoding; save it as UTF-8 text"),
    ]


def test_a_bad_file_that_was_named_is_refused(tmp_path: Path) -> None:
    """Whoever names a file wants it read, even if a folder that holds it is named as well."""
    make_bad_files(tmp_path)
    (tmp_path / "good.md").write_text("Good")

    assert refusal([tmp_path, tmp_path / "noise.txt"]) == (
        "noise.txt: is binary or in an unknown encoding; save it as UTF-8 text"
    )


def test_a_folder_of_bad_files_is_refused(tmp_path: Path) -> None:
    """Nothing to go on with is an error that says how many files there were and what is wrong with the first."""
    make_bad_files(tmp_path)

    with pytest.raises(DocumentError) as caught:
        load_documents(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: none of the 2 files can be read; the first, {tmp_path / 'locked.pdf'}, is encrypted and needs "
        "a password; save it without one and try again"
    )


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    """The same file, named and found in a folder, is one document."""
    (tmp_path / "a.txt").write_text("text")

    assert len(load_documents([tmp_path / "a.txt", tmp_path])) == 1


def test_metadata_is_in_no_prompt_and_no_embedding(tmp_path: Path) -> None:
    """What the models see is the document's text alone."""
    (tmp_path / "a.txt").write_text("text")
    (node,) = split_documents(load_documents(tmp_path))

    assert [node.get_content(mode) for mode in (MetadataMode.LLM, MetadataMode.EMBED)] == ["text", "text"]


def test_refusals_name_the_file_and_the_next_step(tmp_path: Path) -> None:
    """Missing, empty and unknown files and folders without documents each say what to do."""
    (tmp_path / "empty.txt").touch()
    (tmp_path / "a.docx").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "a.pdf").touch()
    kinds = ".htm, .html, .markdown, .md, .pdf, .txt, .xhtml"

    assert [refusal([tmp_path / name]) for name in ("none.pdf", "empty.txt", "a.docx", "folder", "blank")] == [
        "none.pdf: does not exist; check the path",
        "empty.txt: is empty or has no text; leave it out or choose another file",
        f"a.docx: cannot be read; name a folder or a file of these kinds: {kinds}",
        f"folder: holds no file that can be read; put {kinds} files there",
        "a.pdf: is empty or has no text; leave it out or choose another file",
    ]


def test_impossible_paths_are_refused() -> None:
    """A path no system accepts is a DocumentError too."""
    with pytest.raises(DocumentError, match=r"cannot be opened|does not exist"):
        load_documents(["a\0b.txt"])


def test_no_paths_at_all_is_a_configuration_error() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(ConfigurationError, match="name at least one file or folder"):
        load_documents([])


def test_files_over_the_limit_are_refused_unread(tmp_path: Path) -> None:
    """A file that would fill the memory is refused by its size."""
    with (tmp_path / "a.txt").open("wb") as stream:
        stream.truncate(documents_module.MAX_FILE_BYTES + (1 << 20))

    assert refusal(tmp_path) == "a.txt: is 201 MiB, over the limit of 200 MiB; split the file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", ["a.txt", "folder"])
def test_missing_permission_is_named(tmp_path: Path, name: str) -> None:
    """A file or folder that may not be read says so."""
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.touch()
    path.chmod(0)

    message = refusal(path)

    path.chmod(0o700)
    assert "(Permission denied); check its permissions" in message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_folder_within_that_may_not_be_listed_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What lies beside it is read."""
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "closed").mkdir(mode=0)

    documents = load_documents(tmp_path)

    assert [d.text for d in documents] == ["text"]
    assert [record.message.rsplit("/", 1)[-1] for record in caplog.records] == [
        "closed was skipped: this folder cannot be listed (Permission denied); check its permissions"
    ]


# --- splitting


def test_ids_depend_on_content_alone(tmp_path: Path) -> None:
    """The same file read twice, from two places, gives the same documents and nodes; another size, other nodes."""
    text = "Revenue grew. Costs fell. " * 200
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(text)
    first, second = load_documents(tmp_path / "one"), load_documents(tmp_path / "two")

    ids = [[node.node_id for node in split_documents(d, chunk_size=100)] for d in (first, second)]

    assert [d.id_ for d in first] == [d.id_ for d in second]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) > 5
    assert not set(ids[0]) & {node.node_id for node in split_documents(first, chunk_size=200)}


def test_equal_documents_get_different_node_ids() -> None:
    """A text that occurs twice does not overwrite itself in an index."""
    nodes = split_documents([Document(text="same"), Document(text="same"), Document(text=" ")])

    assert len({node.node_id for node in nodes}) == 2


def test_chinese_is_split_at_its_sentence_ends() -> None:
    """Chunks of Chinese text end with a whole sentence and lose nothing."""
    text = "公司今年的收入增长了百分之二十。需求会继续吗？管理层认为会！" * 20

    nodes = split_documents([Document(text=text)], chunk_size=100, chunk_overlap=0)

    assert {node.get_content()[-1] for node in nodes} <= set("。？！")
    assert "".join(node.get_content() for node in nodes) == text


def test_tables_are_split_between_lines() -> None:
    """A long table without sentence ends is cut between rows, not inside figures."""
    rows = [f"Item {number} | 1,234,567 | 89.10" for number in range(200)]

    nodes = split_documents([Document(text="\n".join(rows))], chunk_size=128, chunk_overlap=0)

    assert [line for node in nodes for line in node.get_content().split("\n")] == rows


@pytest.mark.parametrize(("size", "overlap"), [(16, 0), (100, 100), (100, -1)])
def test_sizes_that_do_not_fit_are_refused(size: int, overlap: int) -> None:
    """The message names both sizes."""
    with pytest.raises(ConfigurationError, match=f"chunk_size={size} and chunk_overlap={overlap} do not fit"):
        split_documents([Document(text="x")], chunk_size=size, chunk_overlap=overlap)


def test_metadata_longer_than_a_chunk_is_a_configuration_error() -> None:
    """LlamaIndex's own refusal comes with the chunk size that caused it."""
    document = Document(text="x", metadata={"abstract": "word " * 100})

    with pytest.raises(ConfigurationError, match="chunk_size=64 is too small for these documents"):
        split_documents([document], chunk_size=64)


def test_documents_without_text_are_refused() -> None:
    """There is nothing to split in blank documents."""
    with pytest.raises(DocumentError, match="none of them has any text to split"):
        split_documents([Document(text=" \n")])


def test_splitting_needs_no_nltk_data(tmp_path: Path) -> None:
    """Hard-linked NLTK data, as uv installs it, which NLTK refuses to read, does not matter."""
    cache = Path(llama_index.core.__file__).parent / "_static" / "nltk_cache"
    shutil.copytree(cache, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            path.with_name(path.name + ".second").hardlink_to(path)
    program = """
        from llama_index.core.schema import Document
        from llama_index_ft_rag.documents import split_documents
        print(len(split_documents([Document(text="One sentence here. " * 200)], chunk_size=100)))
    """
    environment = {**os.environ, "NLTK_DATA": str(tmp_path / "data")}

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True, env=environment
    )

    assert int(done.stdout) > 9


# --- real documents


@needs_data
@pytest.mark.parametrize(
    ("name", "documents", "phrase"),
    [
        ("nvidia-sec-10k-2022.pdf", 169, "using the Black-Scholes model"),
        ("financebench_BESTBUY_2023_10K.pdf", 75, "Net deferred tax assets (liabilities) $ (47) $ 3"),
        ("edgartools_ibm-10-k-2025.html", 1, "Total | 36,906,603 | $144.81 | 40,298,470"),
    ],
)
def test_real_reports_are_read_whole_and_clean(name: str, documents: int, phrase: str) -> None:
    """Annual reports give every page, readable text and no markup."""
    loaded = load_documents(Path(str(DATA)) / "tenk" / name)
    text = "\n".join(document.text for document in loaded)

    assert len(loaded) == documents
    assert phrase in text
    assert not [mark for mark in ("</", "/>", "xbrl:", "<ix", "us-gaap:", "\x02", "\ufffe") if mark in text]
