"""A run folder holds one run, for one process at a time, and never loses what it held."""

import pytest

from llama_index_ft_rag.errors import RunFolderError
from llama_index_ft_rag.run_folder import RunFolder, read_run

IDENTITY = {"documents": {"a.pdf": "12"}, "seed": 0}


def test_the_same_run_may_be_opened_again(tmp_path):
    """The same command continues."""
    with RunFolder(tmp_path / "run", identity=IDENTITY, settings={"student": "s"}) as folder:
        folder.note("tuned_model", "ft:x")

    with RunFolder(tmp_path / "run", identity=IDENTITY, settings={"student": "s"}) as folder:
        assert folder.facts == {"tuned_model": "ft:x"}
    assert read_run(tmp_path / "run")["settings"] == {"student": "s"}


def test_another_seed_is_refused(tmp_path):
    """Two runs never mix in one folder."""
    RunFolder(tmp_path / "run", identity=IDENTITY, settings={}).close()

    with pytest.raises(RunFolderError, match=r"was made with seed 0, now it is 1; choose another folder"):
        RunFolder(tmp_path / "run", identity={**IDENTITY, "seed": 1}, settings={})


def test_a_folder_with_other_things_is_refused(tmp_path):
    """Pointing --out at a folder of photos by mistake changes nothing in it."""
    (tmp_path / "photo.jpg").write_text("")

    with pytest.raises(RunFolderError, match=r"not empty and not a run folder \(holds 'photo.jpg'\)"):
        RunFolder(tmp_path, identity=IDENTITY, settings={})


def test_two_processes_cannot_use_one_folder(tmp_path):
    """The second one is told at once; when the first is done, it may."""
    first = RunFolder(tmp_path / "run", identity=IDENTITY, settings={})

    with pytest.raises(RunFolderError, match="another ft-rag is writing here"):
        RunFolder(tmp_path / "run", identity=IDENTITY, settings={})
    first.close()
    RunFolder(tmp_path / "run", identity=IDENTITY, settings={}).close()


def test_outputs_stay_while_inputs_stay(tmp_path):
    """A stage that is begun again with the same inputs finds its output."""
    with RunFolder(tmp_path / "run", identity=IDENTITY, settings={}) as folder:
        first = folder.begin("questions", inputs={"n": 4}, outputs=["questions.jsonl"])
        folder.file("questions.jsonl").write_text("{}\n")

        again = folder.begin("questions", inputs={"n": 4}, outputs=["questions.jsonl"])

        assert again == first
        assert folder.file("questions.jsonl").exists()


def test_outputs_of_other_inputs_are_put_aside(tmp_path):
    """A stage whose inputs changed starts clean, and the old output is kept under `superseded/`."""
    with RunFolder(tmp_path / "run", identity=IDENTITY, settings={}) as folder:
        first = folder.begin("questions", inputs={"n": 4}, outputs=["questions.jsonl"])
        folder.file("questions.jsonl").write_text("old\n")

        folder.begin("questions", inputs={"n": 8}, outputs=["questions.jsonl"])

        assert not folder.file("questions.jsonl").exists()
        assert folder.file(f"superseded/{first}/questions.jsonl").read_text() == "old\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no run.json here; pass the folder"),
        ("not json", "cannot be read"),
        ('{"schema_version": 99}', "schema version 99, this version reads 1"),
        ("[1, 2]", "run.json: is not the record of a run; start again in another folder"),
        ('{"schema_version": 1}', "run.json: is damaged, it has no 'identity'; start again in another folder"),
        ('{"schema_version": 1, "identity": {}, "settings": 5}', "run.json: is damaged, it has no 'settings'"),
    ],
)
def test_what_is_no_run_is_named(tmp_path, content, message):
    """Each way in which a folder is no run of this version has its own sentence."""
    if content is not None:
        (tmp_path / "run.json").write_text(content)

    with pytest.raises(RunFolderError, match=message):
        read_run(tmp_path)


def test_settings_changed_back_and_forth_lose_nothing(tmp_path):
    """What was put aside before is never overwritten, whole folders such as the index included."""
    with RunFolder(tmp_path / "run", identity=IDENTITY, settings={}) as folder:
        for step, chunk_size in enumerate([512, 1024, 512, 1024]):
            folder.begin("index", inputs=chunk_size, outputs=["index"])
            folder.file("index").mkdir()
            (folder.file("index") / "docstore.json").write_text(str(step))

        kept = sorted(path.read_text() for path in folder.path.glob("superseded/*/index/docstore.json"))

    assert kept == ["0", "1", "2"]
