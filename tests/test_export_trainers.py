"""`export_for_trainer` and `ft-rag export --to`: what each trainer finds in the folder, read back by real parsers."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_ft_rag.cli import main
from llama_index_ft_rag.errors import ConfigurationError, ExamplesError, RunFolderError
from llama_index_ft_rag.examples import TrainingExample, read_examples, write_examples
from llama_index_ft_rag.exporting import LeftOut, Trainer, TrainerExport, export_for_trainer

DATA = os.environ.get("FT_RAG_TEST_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="FT_RAG_TEST_DATA is not set: there are no real files to export")
TRAINERS = get_args(Trainer)
SCRIPTS = {"fireworks": "start.py", "trl": "train.py", "unsloth": "train.py"}
Run = Callable[..., tuple[int, str, str]]

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_0", "content": "rain"}


def user(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def answer(text: str, **more: Any) -> dict[str, Any]:
    """An answer of the assistant."""
    return {"role": "assistant", "content": text, **more}


def example(*messages: dict[str, Any], **more: Any) -> TrainingExample:
    """An example of these messages."""
    return TrainingExample(messages=list(messages), **more)


def plain(count: int = 3) -> list[TrainingExample]:
    """Examples that every trainer takes."""
    return [example(user(f"How much is {number}?"), answer("Five.")) for number in range(count)]


TOOLS = example(
    {"role": "system", "content": "Be brief."},
    user("Rain?"),
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    RESULT,
    answer("Yes."),
    tools=[WEATHER],
)
WEIGHED = example(user("?"), answer("draft", weight=0), user("?"), answer("final", weight=1))


def lines(path: Path) -> list[Any]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def constants(script: Path) -> dict[str, Any]:
    """What a script assigns to names in capitals, where that is a value and no code."""
    found = {}
    for statement in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            (target,) = statement.targets
            found[ast.unparse(target)] = statement.value.value
    return found


def command(script: Path) -> list[str]:
    """The words of the last command of a shell script."""
    return shlex.split(script.read_text(encoding="utf-8").replace("\\\n", "").splitlines()[-1])


AXOLOTL_DATASET = {
    "ds_type": "json",
    "split": "train",
    "type": "chat_template",
    "chat_template": "tokenizer_default",
    "field_messages": "messages",
    "message_property_mappings": {"role": "role", "content": "content"},
    "roles_to_train": ["assistant"],
    "train_on_eos": "turn",
}


def test_axolotl_gets_chat_messages_and_a_configuration(tmp_path: Path) -> None:
    """The whole file, as a YAML reader sees it; what is longer than the estimate stops the training, not the row."""
    export_for_trainer(plain(), tmp_path / "out", trainer="axolotl", validation=plain(1), epochs=2, seed=7)

    assert yaml.safe_load((tmp_path / "out/axolotl.yaml").read_text(encoding="utf-8")) == {
        "base_model": "Qwen/Qwen3-4B-Instruct-2507",
        "datasets": [{"path": "train.jsonl", **AXOLOTL_DATASET}],
        "test_datasets": [{"path": "validation.jsonl", **AXOLOTL_DATASET}],
        "dataset_prepared_path": "prepared",
        "output_dir": "trained",
        "sequence_len": 1024,
        "excess_length_strategy": "raise",
        "sample_packing": False,
        "adapter": "lora",
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "lora_target_linear": True,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "num_epochs": 2,
        "optimizer": "adamw_torch",
        "lr_scheduler": "cosine",
        "learning_rate": 0.0001,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "attn_implementation": "sdpa",
        "logging_steps": 1,
        "saves_per_epoch": 1,
        "evals_per_epoch": 1,
        "seed": 7,
    }
    assert lines(tmp_path / "out/train.jsonl") == [given.to_line() for given in plain()]


def test_axolotl_gets_tools_as_text_and_weights_as_train(tmp_path: Path) -> None:
    """Rows without tools have an empty list, and the fields that need it are named in the configuration."""
    export_for_trainer([*plain(1), TOOLS, WEIGHED], tmp_path / "out", trainer="axolotl")
    rows = lines(tmp_path / "out/train.jsonl")
    settings = yaml.safe_load((tmp_path / "out/axolotl.yaml").read_text(encoding="utf-8"))

    assert rows[0] == {"messages": plain(1)[0].messages, "tools": "[]"}
    assert rows[1]["messages"][2] == {"role": "assistant", "tool_calls": [CALL]}
    assert json.loads(rows[1]["tools"]) == [WEATHER]
    assert [message.get("train") for message in rows[2]["messages"]] == [None, False, None, True]
    assert settings["datasets"] == [
        {"path": "train.jsonl", **AXOLOTL_DATASET, "field_tools": "tools", "message_field_training": "train"}
    ]
    assert "test_datasets" not in settings


def test_a_late_field_does_not_break_the_reading_of_a_long_axolotl_file(tmp_path: Path) -> None:
    """`datasets` takes types from the first 10 MB; a row that is the first to have a field therefore comes first."""
    datasets = pytest.importorskip("datasets")
    long = [example(user("x" * 4_000), answer(f"{number}")) for number in range(3_000)]

    export_for_trainer([*long, TOOLS, WEIGHED], tmp_path / "out", trainer="axolotl")
    files = str(tmp_path / "out/train.jsonl")
    rows = datasets.load_dataset("json", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))

    assert (len(rows), rows[1]["messages"][2]["tool_calls"][0]["function"]) == (3_002, CALL["function"])
    assert [message.get("train") for message in rows[2]["messages"]] == [None, False, None, True]


def test_llama_factory_gets_conversations_their_list_and_a_configuration(tmp_path: Path) -> None:
    """The whole of both files; the columns are those of each file."""
    export_for_trainer([*plain(), TOOLS], tmp_path / "out", trainer="llama-factory", validation=plain(1), seed=7)
    entry = {"formatting": "sharegpt"}

    assert json.loads((tmp_path / "out/dataset_info.json").read_text(encoding="utf-8")) == {
        "train": {
            "file_name": "train.jsonl",
            **entry,
            "columns": {"messages": "conversations", "tools": "tools"},
        },
        "validation": {"file_name": "validation.jsonl", **entry, "columns": {"messages": "conversations"}},
    }
    assert yaml.safe_load((tmp_path / "out/llama_factory.yaml").read_text(encoding="utf-8")) == {
        "model_name_or_path": "Qwen/Qwen3-4B-Instruct-2507",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_target": "all",
        "dataset_dir": ".",
        "dataset": "train",
        "eval_dataset": "validation",
        "template": "qwen3_nothink",
        "cutoff_len": 1024,
        "output_dir": "trained",
        "logging_steps": 1,
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "report_to": "none",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 0.0001,
        "num_train_epochs": 3.0,
        "lr_scheduler_type": "cosine",
        "bf16": True,
        "seed": 7,
    }
    assert lines(tmp_path / "out/train.jsonl")[3]["conversations"][2] == {
        "from": "function_call",
        "value": '{"name": "weather", "arguments": {"city": "Bonn"}}',
    }


def test_llama_factory_is_told_no_template_for_another_model(tmp_path: Path) -> None:
    """We know the template of the model we name; for another one the README says what to add."""
    export_for_trainer(plain(), tmp_path / "out", trainer="llama-factory", model="meta-llama/Llama-3.1-8B-Instruct")
    settings = yaml.safe_load((tmp_path / "out/llama_factory.yaml").read_text(encoding="utf-8"))

    assert [settings.get(key) for key in ("model_name_or_path", "template", "eval_dataset", "eval_strategy")] == [
        "meta-llama/Llama-3.1-8B-Instruct",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("trainer", "more"),
    [
        ("trl", {"MODEL": "Qwen/Qwen3-4B-Instruct-2507"}),
        ("unsloth", {"MODEL": "unsloth/Qwen3-4B-Instruct-2507", "MAX_LENGTH": 1024}),
    ],
)
def test_trl_and_unsloth_get_a_script_with_its_settings_on_top(
    trainer: str, more: dict[str, Any], tmp_path: Path
) -> None:
    """What is trained on what stands in constants; the rest of the script is the same for everybody."""
    export_for_trainer([*plain(), TOOLS], tmp_path / "a", trainer=trainer, validation=plain(1), epochs=2, seed=7)
    export_for_trainer(plain(), tmp_path / "b", trainer=trainer, epochs=2, seed=7)
    scripts = [(tmp_path / name / "train.py").read_text(encoding="utf-8") for name in "ab"]

    assert constants(tmp_path / "a/train.py") == {
        "TRAIN": "train.jsonl",
        "VALIDATION": "validation.jsonl",
        "OUTPUT": "trained",
        "EPOCHS": 2,
        "SEED": 7,
        "LEARNING_RATE": 0.0001,
        "ROWS_PER_STEP": 8,
        "LORA_RANK": 16,
        "LORA_ALPHA": 32,
        **more,
    }
    assert scripts[0].replace('VALIDATION = "validation.jsonl"', "VALIDATION = None") == scripts[1]
    assert lines(tmp_path / "a/train.jsonl")[3]["tools"] == [WEATHER]


TRL_READER = """
import runpy, sys, types, json
taken = {}
for name, attributes in {"trl": ("SFTConfig", "SFTTrainer"), "peft": ("LoraConfig",)}.items():
    sys.modules[name] = types.ModuleType(name)
    for attribute in attributes:
        setattr(sys.modules[name], attribute, lambda **given: taken.update(given) or types.SimpleNamespace(
            train=lambda: None, save_model=lambda: None))
runpy.run_path(sys.argv[1])
print(json.dumps([list(taken["train_dataset"]), taken["assistant_only_loss"], taken["max_length"]]))
"""


def test_the_trl_script_gives_every_call_its_own_arguments(tmp_path: Path) -> None:
    """Arguments are objects, as templates expect them, and no call gets those of another; the trainer is a stand-in."""
    pytest.importorskip("datasets", minversion="4.7")
    other = {**CALL, "function": {"name": "weather", "arguments": '{"days": [1, "two"]}'}}
    second = example(user("And later?"), {"role": "assistant", "tool_calls": [other]}, tools=[WEATHER])
    export_for_trainer([TOOLS, second, *plain(1)], tmp_path / "out", trainer="trl")
    words = [sys.executable, "-c", TRL_READER, str(tmp_path / "out/train.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows, assistant_only, max_length = json.loads(done.stdout)

    assert [row["messages"][-1].get("tool_calls") or row["messages"][2]["tool_calls"] for row in rows[:2]] == [
        [{**CALL, "function": {"name": "weather", "arguments": {"city": "Bonn"}}}],
        [{**CALL, "function": {"name": "weather", "arguments": {"days": [1, "two"]}}}],
    ]
    assert [row["tools"] for row in rows] == [[WEATHER], [WEATHER], None]
    assert (assistant_only, max_length) == (True, None)


def test_together_gets_its_own_command(tmp_path: Path) -> None:
    """Every option of the command, a key from the environment alone, and nothing that skips its question."""
    folder = tmp_path / "out"
    export_for_trainer([*plain(), TOOLS, WEIGHED], folder, trainer="together", validation=plain(1), epochs=2, seed=7)

    assert command(folder / "start.sh") == [
        "tg",
        "fine-tuning",
        "create",
        "--training-file=train.jsonl",
        "--validation-file=validation.jsonl",
        "--n-evals=2",
        "--model=Qwen/Qwen3-8B",
        "--n-epochs=2",
        "--random-seed=7",
    ]
    assert lines(folder / "train.jsonl")[3:] == [
        {"messages": [*TOOLS.messages[:2], {"role": "assistant", "tool_calls": [CALL]}, *TOOLS.messages[3:]]}
        | {"tools": [WEATHER]},
        WEIGHED.to_line(),
    ]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_the_command_for_together_wants_a_key_and_finds_its_folder(tmp_path: Path) -> None:
    """It parses, says which variable is missing, and runs the command in its own folder, whatever that is called."""
    folder = tmp_path / "it's; $(here)"
    export_for_trainer(plain(), folder, trainer="together", model="a; touch 'b' $(c)")
    (tmp_path / "tg").write_text('#!/bin/sh\nls\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    (tmp_path / "tg").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    words = ["bash", str(folder / "start.sh")]
    checked = subprocess.run(["bash", "-n", words[1]], capture_output=True, check=False)
    keyless = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    environment["TOGETHER_API_KEY"] = "key"
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    assert (checked.returncode, checked.stderr) == (0, b"")
    assert (keyless.returncode, "export your key in TOGETHER_API_KEY first" in keyless.stderr) == (1, True)
    assert done.stdout.split("\n")[:3] == ["README.txt", "start.sh", "train.jsonl"]
    assert "--model=a; touch 'b' $(c)" in done.stdout.split("\n")


def test_fireworks_gets_a_script_that_reads_its_keys_from_the_environment(tmp_path: Path) -> None:
    """The settings of the job, and no key."""
    export_for_trainer([*plain(), WEIGHED], tmp_path / "out", trainer="fireworks", validation=plain(1), epochs=2)

    assert constants(tmp_path / "out/start.py") == {
        "MODEL": "accounts/fireworks/models/qwen3-8b",
        "TRAIN": "train.jsonl",
        "VALIDATION": "validation.jsonl",
        "EPOCHS": 2,
        "DEADLINE_S": 600,
        "MOST_BYTES": 150_000_000,
    }
    assert lines(tmp_path / "out/train.jsonl")[3] == WEIGHED.to_line()


def test_fireworks_takes_no_fewer_than_three(tmp_path: Path) -> None:
    """It refuses such a file after the upload; here it is refused before anything is written."""
    with pytest.raises(ExamplesError) as refused:
        export_for_trainer([*plain(2), example(user("?"))], tmp_path / "out", trainer="fireworks")

    assert str(refused.value) == (
        "Fireworks takes no fewer than 3 examples, and 2 can be written; add examples, or choose another trainer"
    )
    assert list(tmp_path.iterdir()) == []


PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}
OLD_CALL = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}
CUSTOM_TOOL = {"type": "custom", "custom": {"name": "shell"}}
UNKNOWN_ROLE = "it has a message of a role that the format does not know"
UNKNOWN_FIELD = "it has a message with a field that the format does not know"
NO_TRAINER: list[tuple[TrainingExample, str]] = [
    (example(), "it does not end with an answer of the assistant"),
    (example(user("?")), "it does not end with an answer of the assistant"),
    (example({"role": "developer", "content": "Be brief."}, user("?"), answer("!")), UNKNOWN_ROLE),
    (example(user("?"), OLD_CALL), UNKNOWN_FIELD),
    (example(user("?"), {"role": "function", "name": "f", "content": "1"}, answer("!")), UNKNOWN_ROLE),
    (
        example(user("?"), {"role": "system", "content": "."}, answer("!")),
        "it has a system message that is not its first message",
    ),
    (example(PICTURE, answer("!")), "it has a message with parts that are no text"),
    (example({**user("?"), "name": "Ada"}, answer("!")), "it has a message that names its speaker"),
    (example(user("?"), {"role": "assistant", "content": None}), "it has a message without text"),
    (example(user("?"), answer("!", refusal="No.")), UNKNOWN_FIELD),
    (example({**user("?"), "weight": 0}, answer("!")), UNKNOWN_FIELD),
    (example(user("?"), {"role": "tool", "tool_call_id": 1, "content": "1"}, answer("!")), UNKNOWN_FIELD),
    (example(user("?"), {"role": "assistant", "tool_calls": [{**CALL, "index": 0}]}), UNKNOWN_FIELD),
    (
        example(user("?"), {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]}),
        "it has a tool call that is no function with arguments in JSON",
    ),
    (example(user("?"), answer("!"), tools=[CUSTOM_TOOL]), "it has a tool that is no function"),
    (example(user("\ud800"), answer("!")), "it has text that is no valid Unicode"),
]


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(("given", "reason"), NO_TRAINER)
def test_what_no_trainer_takes_is_left_out_by_every_one(
    given: TrainingExample, reason: str, trainer: str, tmp_path: Path
) -> None:
    """The example is named by its place, split and content hash, and no role or field is renamed to fit."""
    done = export_for_trainer([*plain(), given], tmp_path / "out", trainer=trainer, validation=[given, *plain(1)])

    assert done.left_out == (
        LeftOut(index=3, content_hash=given.content_hash, reason=reason),
        LeftOut(index=0, content_hash=given.content_hash, reason=reason, split="validation"),
    )
    assert (done.written, len(lines(tmp_path / "out/train.jsonl"))) == (4, 3)


TWO_RESULTS = example(
    user("?"), {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "b"}]}, RESULT, RESULT, answer("!")
)
NOT_ALTERNATING = "its turns do not alternate between the user's side and the assistant's"
STRICT = {"together", "llama-factory"}
WEIGHING = {"together", "fireworks", "axolotl"}
NO_WEIGHTS = {"it weighs its answers": {*TRAINERS} - WEIGHING}
SOME_TRAINERS: list[tuple[TrainingExample, dict[str, set[str]]]] = [
    (example(user("a"), user("b"), answer("!")), {NOT_ALTERNATING: STRICT}),
    (example(answer("!")), {NOT_ALTERNATING: STRICT}),
    (TWO_RESULTS, {"it has several tool results for one turn": STRICT}),
    (
        example(user("?"), answer("Let me look.", tool_calls=[CALL])),
        {"it says something and calls a tool in one turn": STRICT},
    ),
    (WEIGHED, NO_WEIGHTS),
    (example(user("?"), answer("!", weight=0.5)), {"it has a weight other than 0 and 1": WEIGHING, **NO_WEIGHTS}),
    (example(user("?"), answer("!", weight=0)), {"it has no answer to train on": WEIGHING, **NO_WEIGHTS}),
]


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(("given", "refusing"), SOME_TRAINERS)
def test_what_some_trainers_do_not_take_is_left_out_by_them_alone(
    given: TrainingExample, refusing: dict[str, set[str]], trainer: str, tmp_path: Path
) -> None:
    """The same example may go to one trainer and not to another."""
    done = export_for_trainer([*plain(), given], tmp_path / "out", trainer=trainer)

    assert [missed.reason for missed in done.left_out] == [
        reason for reason, trainers in refusing.items() if trainer in trainers
    ]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_weight_of_one_says_nothing_and_is_left_away(trainer: str, tmp_path: Path) -> None:
    """It is what every trainer does anyhow."""
    weighed = example(user("?"), answer("!", weight=1, refusal=None))
    done = export_for_trainer([weighed, *plain()], tmp_path / "out", trainer=trainer)

    assert done.left_out == ()
    assert "weight" not in (tmp_path / "out/train.jsonl").read_text(encoding="utf-8")


HOSTILE = st.text(
    st.sampled_from(
        ["'", '"', "\\", "$", "{", "}", "`", ";", "#", ":", "-", "%", "!", "*", "&", "|", ">", "a", "é", " "]
    ),
    min_size=1,
    max_size=12,
).filter(lambda name: name == " ".join(name.split()) and "${" not in name)


@given(HOSTILE)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_models_name_stays_a_name_in_every_file(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """No quote, dollar sign or colon in it becomes YAML, Python or a second command."""
    folder = tmp_path_factory.mktemp("hostile")
    for trainer in TRAINERS:
        export_for_trainer(plain(), folder / trainer, trainer=trainer, model=name)
    axolotl = yaml.safe_load((folder / "axolotl/axolotl.yaml").read_text(encoding="utf-8"))
    llama_factory = yaml.safe_load((folder / "llama-factory/llama_factory.yaml").read_text(encoding="utf-8"))
    scripts = [constants(folder / trainer / script)["MODEL"] for trainer, script in SCRIPTS.items()]

    assert [axolotl["base_model"], llama_factory["model_name_or_path"], *scripts] == [name] * 5
    assert command(folder / "together/start.sh")[4:] == [f"--model={name}", "--n-epochs=3", "--random-seed=0"]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_messages_are_in_the_data_alone(trainer: str, tmp_path: Path) -> None:
    """Whatever an example says, configuration and scripts are those of any other one of its length."""
    hostile = [example(user('"""\n$(x)\n---\nkey: 1 ${y}'), answer("'; rm")) for _ in range(3)]
    export_for_trainer(hostile, tmp_path / "a", trainer=trainer)
    export_for_trainer(plain(), tmp_path / "b", trainer=trainer)
    written = [
        {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / name).iterdir() if path.suffix != ".jsonl"}
        for name in "ab"
    ]

    assert written[0] == written[1]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_folder_says_what_to_run_and_what_it_was_written_for(trainer: str, tmp_path: Path) -> None:
    """The result names every file, and README.txt the command, the versions, the day and where to read on."""
    done = export_for_trainer(plain(), tmp_path / "out", trainer=trainer, model="m", validation=plain(1))
    readme = done.files[0].read_text(encoding="utf-8").splitlines()
    start = next(line for line in readme if line.startswith("Written for "))

    assert done == TrainerExport(
        folder=tmp_path / "out",
        trainer=trainer,
        model="m",
        files=done.files,
        written=4,
        left_out=(),
        next_step=readme[8].strip(),
    )
    assert sorted(path.name for path in done.files) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert readme[2:6] == [
        "Model: m",
        "Data: train.jsonl has 3 examples, validation.jsonl has 1 examples",
        "",
        "Run in this folder:",
    ]
    assert start.endswith("on 2026-11-25; nothing was trained with it:")
    assert all(line.startswith("    https://") for line in readme[readme.index(start) + 1 :])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_is_written_is_private(trainer: str, tmp_path: Path) -> None:
    """Prompts hold passages of documents: only their owner reads them."""
    done = export_for_trainer(plain(), tmp_path / "out", trainer=trainer)
    paths = [tmp_path / "out", *done.files]

    assert [oct(path.stat().st_mode & 0o777) for path in paths] == ["0o700", *["0o600"] * len(done.files)]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_same_export_again_replaces_its_own_files_alone(trainer: str, tmp_path: Path) -> None:
    """What the trainer made stays; a validation file that is no longer asked for goes."""
    export_for_trainer(plain(), tmp_path / "out", trainer=trainer, validation=plain(1))
    (tmp_path / "out/trained").mkdir()
    (tmp_path / "out/trained/adapter").write_text("mine", encoding="utf-8")
    done = export_for_trainer(plain(4), tmp_path / "out", trainer=trainer)

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["trained", *(path.name for path in done.files)]
    )
    assert (tmp_path / "out/trained/adapter").read_text(encoding="utf-8") == "mine"
    assert len(lines(tmp_path / "out/train.jsonl")) == 4


def test_an_empty_folder_may_be_there_already(tmp_path: Path) -> None:
    """Somebody made it for this."""
    (tmp_path / "out").mkdir()
    done = export_for_trainer(plain(), tmp_path / "out", trainer="trl")

    assert [path.name for path in done.files] == ["README.txt", "train.py", "train.jsonl"]


def test_the_configuration_has_room_for_the_longest_example(tmp_path: Path) -> None:
    """Each of these words is one token: 4,000 of them want more than 5,000, so that no answer is cut off."""
    long = example(user("word " * 4_000), answer("Five."))
    export_for_trainer([*plain(), long], tmp_path / "out", trainer="llama-factory")
    settings = yaml.safe_load((tmp_path / "out/llama_factory.yaml").read_text(encoding="utf-8"))

    assert settings["cutoff_len"] == 6_144


def test_a_folder_with_anything_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Another trainer's export, somebody's own files, a file."""
    export_for_trainer(plain(), tmp_path / "trl", trainer="trl")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train.py").write_text("mine", encoding="utf-8")
    problems = []
    for name in ("trl", "mine", "mine/train.py"):
        with pytest.raises(ConfigurationError) as refused:
            export_for_trainer(plain(), tmp_path / name, trainer="axolotl")
        problems.append(str(refused.value).replace(str(tmp_path) + os.sep, "").replace(os.sep, "/"))

    assert problems == [
        "trl: holds something other than an export for Axolotl; choose a new folder, or empty this one",
        "mine: holds something other than an export for Axolotl; choose a new folder, or empty this one",
        "mine/train.py: is a file; pass a folder",
    ]
    assert (tmp_path / "mine/train.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            {"trainer": "nobody"},
            "'nobody': there is no export for such a trainer; choose one of "
            "together, fireworks, axolotl, llama-factory, trl, unsloth",
        ),
        ({"epochs": 0}, "epochs 0: is less than 1; pass how often to go over the examples"),
        ({"model": ""}, "model '': is no name of a model; pass it as the trainer knows it"),
        ({"model": "a\nb: c"}, "model 'a b: c': is no name of a model; pass it as the trainer knows it"),
        ({"model": "a\ud800"}, "model 'a\ufffd': is no name of a model; pass it as the trainer knows it"),
        (
            {"trainer": "llama-factory", "model": "${oc.env:HOME}"},
            "model '${oc.env:HOME}': LLaMA-Factory reads ${ as the beginning of a variable; rename the folder",
        ),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    wrong: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """One sentence with the value and the next step."""
    with pytest.raises(ConfigurationError) as refused:
        export_for_trainer(plain(), tmp_path / "out", **{"trainer": "trl", **wrong})

    assert str(refused.value) == problem
    assert list(tmp_path.iterdir()) == []


def test_an_export_with_nothing_in_it_is_refused_with_every_reason(tmp_path: Path) -> None:
    """A trainer would fail on an empty file later and without a reason."""
    with pytest.raises(ExamplesError) as empty:
        export_for_trainer([], tmp_path / "out", trainer="trl")
    with pytest.raises(ExamplesError) as refused:
        export_for_trainer([WEIGHED, example(user("?"))], tmp_path / "out", trainer="trl")

    assert str(empty.value) == "there are no examples to export"
    assert str(refused.value) == (
        "no example can be written for trl: it weighs its answers (1 of 2); "
        "it does not end with an answer of the assistant (1 of 2); choose another trainer"
    )
    assert list(tmp_path.iterdir()) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["user", "text", "function", "{}", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "function", "name", "arguments"]), inner, max_size=3)
    ),
    max_leaves=5,
)
some_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]) | anything},
    optional=dict.fromkeys(("content", "weight", "name", "tool_calls", "function_call", "tool_call_id"), anything),
)
some_example = st.builds(
    TrainingExample,
    messages=st.lists(some_message | st.sampled_from([user("?"), answer("!"), answer("!", weight=0)]), max_size=4),
    tools=st.none()
    | st.lists(st.fixed_dictionaries({}, optional={"type": anything, "function": anything}), max_size=2),
)


@given(st.lists(some_example, max_size=4), st.sampled_from(TRAINERS))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_every_example_is_either_written_or_left_out_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, examples: list[TrainingExample], trainer: str
) -> None:
    """Whatever the messages hold, nothing is lost and nothing fails."""
    folder = tmp_path_factory.mktemp("any") / "out"
    done = export_for_trainer([*examples, *plain()], folder, trainer=trainer)

    assert done.written + len(done.left_out) == len(examples) + 3
    assert len(lines(folder / "train.jsonl")) == done.written


TOY = {NOT_ALTERNATING: 1}
REAL: list[tuple[str, str, int, dict[str, int]]] = [
    *(("post/llm-finetuning_finetuning_events.jsonl", trainer, 65, {}) for trainer in TRAINERS),
    *(("ftjsonl/foundry_stock_toolcall_training.jsonl", trainer, 86, {}) for trainer in TRAINERS),
    *(("ftjsonl/foundry_gsm8k_chat_validation.jsonl", trainer, 50, {}) for trainer in TRAINERS),
    *(("ftjsonl/pirate_training_set.jsonl", trainer, 10, {}) for trainer in TRAINERS),
    *(("ftjsonl/ruby_sarcastic.jsonl", trainer, 10, {}) for trainer in TRAINERS),
    *(
        ("ftjsonl/cookbook_toy_chat_fine_tuning.jsonl", trainer, 4 if trainer in STRICT else 5, TOY)
        for trainer in TRAINERS
    ),
]


@needs_data
@pytest.mark.parametrize(("name", "trainer", "written", "left_out"), REAL)
def test_real_files_are_exported_row_by_row(
    name: str, trainer: str, written: int, left_out: dict[str, int], tmp_path: Path
) -> None:
    """Files of several authors: what is written and what is left out, and why."""
    examples = read_examples(Path(str(DATA)) / name)
    done = export_for_trainer(examples, tmp_path / "out", trainer=trainer)

    assert (done.written, Counter(missed.reason for missed in done.left_out)) == (
        written,
        left_out if written < len(examples) else {},
    )


@needs_data
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_real_file_without_answers_is_refused_by_every_trainer(trainer: str, tmp_path: Path) -> None:
    """A file for reinforcement, with developer messages, is nothing to imitate."""
    examples = read_examples(Path(str(DATA)) / "ftjsonl/foundry_zava_rft_test_first12.jsonl")
    with pytest.raises(ExamplesError) as refused:
        export_for_trainer(examples, tmp_path / "out", trainer=trainer)

    assert str(refused.value) == (
        f"no example can be written for {trainer}: {UNKNOWN_ROLE} (10 of 10); choose another trainer"
    )


@pytest.fixture
def ft_rag(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in this process and in an empty folder; gives its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.parametrize(
    "words",
    [
        "good.jsonl --to axolotl --out out",
        "good.jsonl --to axolotl out",
        "--to axolotl good.jsonl out",
        "--to axolotl --out out good.jsonl",
    ],
)
def test_the_command_takes_the_folder_with_or_without_its_option(ft_rag: Run, words: str) -> None:
    """It says what was written, what will be trained, and what to run next."""
    write_examples("good.jsonl", [*plain(), example(user("?"))])
    code, out, err = ft_rag("export", *words.split())

    assert (code, out.replace(os.sep, "/"), err) == (
        0,
        "3 examples written to out/README.txt, out/axolotl.yaml, out/train.jsonl\n"
        "trains Qwen/Qwen3-4B-Instruct-2507; next: cd out && axolotl train axolotl.yaml\n",
        "note: 1 left out: it does not end with an answer of the assistant\n",
    )


def test_the_options_reach_the_configuration(ft_rag: Run) -> None:
    """Model, epochs, seed and validation file."""
    write_examples("good.jsonl", plain())
    options = "--model m --epochs 2 --seed 7 --validation good.jsonl"
    code, out, _ = ft_rag("export", "good.jsonl", "--to", "trl", "out", *options.split())
    found = constants(Path("out/train.py"))

    assert (code, out.splitlines()[-1]) == (0, "trains m; next: cd out && python train.py")
    assert [found[name] for name in ("MODEL", "EPOCHS", "SEED", "VALIDATION")] == ["m", 2, 7, "validation.jsonl"]


def test_a_curated_folder_is_exported_into_itself(ft_rag: Run) -> None:
    """Its examples and its validation file are taken, and the new folder is named after the trainer."""
    Path("curated").mkdir()
    write_examples("curated/examples.jsonl", plain())
    write_examples("curated/validation.jsonl", plain(1))
    code, out, err = ft_rag("export", "--to", "together", "curated")

    assert (code, err) == (0, "")
    assert out.replace(os.sep, "/").splitlines() == [
        "4 examples written to curated/together/README.txt, curated/together/start.sh, "
        "curated/together/train.jsonl, curated/together/validation.jsonl",
        "trains Qwen/Qwen3-8B; next: cd curated/together && bash start.sh",
    ]


def test_a_file_in_another_format_may_be_named_without_its_option(ft_rag: Run) -> None:
    """`--format` takes the same two places for the path as `--to`."""
    write_examples("good.jsonl", plain())
    code, out, _ = ft_rag("export", "good.jsonl", "--format", "alpaca", "alpaca.jsonl")

    assert (code, out) == (0, "3 examples written to alpaca.jsonl, dataset_info.json\n")


def test_a_dataset_says_how_its_examples_were_curated(ft_rag: Run) -> None:
    """What `ft-rag curate` wrote beside them stands on the card."""
    pytest.importorskip("pyarrow")
    write_examples("good.jsonl", plain())
    Path("curation.json").write_text('{"total": 5, "kept": 3, "dropped": 2}', encoding="utf-8")
    code, _, _ = ft_rag("export", "good.jsonl", "--format", "datasets", "out")
    card = Path("out/README.md").read_text(encoding="utf-8")

    assert (code, card.partition("## How the rows were chosen\n\n")[2].partition("\n\n")[0]) == (
        0,
        "- total: 5\n- kept: 3\n- dropped: 2",
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "good.jsonl --to trl --format chat --out out",
            "--format chat and --to trl exclude each other: a format is a data file, a trainer gets a folder with its "
            "configuration; keep one of them",
        ),
        ("good.jsonl --out out", "nothing says what to write: add --format for a data file, or --to for a trainer"),
        ("good.jsonl --to trl", "nothing says where to write: add --out and a path"),
        ("good.jsonl --to trl out --out other", "out and --out other: both say where to write; keep one of them"),
        (
            "good.jsonl --to trl out --against good.jsonl",
            "--against: goes with --format preference, not with --to trl; leave it out",
        ),
        (
            "good.jsonl --format chat --out out --model m",
            "--model: goes with --to, not with --format chat; leave it out",
        ),
        ("good.jsonl --to trl good.jsonl", "--out good.jsonl: is a file to be exported; choose another path"),
        ("mine/train.jsonl --to trl mine", "--out mine: is a file to be exported; choose another path"),
        (
            "mine --to trl",
            "mine/examples.jsonl: cannot be read (No such file or directory); pass the path of a JSONL file",
        ),
        ("good.jsonl --to fireworks out --model ", "model '': is no name of a model; pass it as the trainer knows it"),
    ],
)
def test_what_the_command_cannot_do_is_one_sentence(ft_rag: Run, words: str, sentence: str) -> None:
    """The thing, the value and the next step, and nothing is written."""
    Path("mine").mkdir()
    write_examples("good.jsonl", plain())
    write_examples("mine/train.jsonl", plain())
    code, out, err = ft_rag("export", *words.split(" "))

    assert (code, out, err.replace(os.sep, "/")) == (1, "", f"ft-rag: {sentence}\n")
    assert not Path("out").exists()


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_the_disk_refuses_is_said_in_one_sentence(trainer: str, tmp_path: Path) -> None:
    """A name too long for the disk: the path, what the system says, and the next step."""
    target = tmp_path / ("x" * 300)

    with pytest.raises((ConfigurationError, RunFolderError)) as refused:
        export_for_trainer(plain(), target, trainer=trainer)

    assert str(refused.value).startswith(f"{target}: ")
    assert "choose another folder" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Somebody made a folder where a file of an earlier export stood."""
    done = export_for_trainer(plain(), tmp_path / "out", trainer="trl")
    done.files[1].unlink()
    done.files[1].mkdir()

    with pytest.raises(ConfigurationError) as refused:
        export_for_trainer(plain(), tmp_path / "out", trainer="trl")

    assert str(refused.value).startswith(f"{tmp_path / 'out'}: cannot be written (")
    assert str(refused.value).endswith("); choose another folder")


@pytest.mark.parametrize("trainer", ["trl", "unsloth"])
def test_a_model_name_with_rare_letters_is_the_same_name_in_a_script(tmp_path: Path, trainer: Trainer) -> None:
    """A letter beyond sixteen bits is one letter in Python too."""
    export_for_trainer(
        [example(user("?"), answer("a"))] * 12, tmp_path / "out", trainer=trainer, model="models/\U0001f600"
    )

    script = next((tmp_path / "out").glob("*.py")).read_text(encoding="utf-8")
    [line] = [line for line in script.splitlines() if line.startswith("MODEL =")]
    assert ast.literal_eval(line.partition("=")[2].strip()) == "models/\U0001f600"
