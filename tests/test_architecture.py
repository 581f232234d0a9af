"""The house rules of the source tree: one order of modules, no big ones, no drawers for leftovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from source_tree import imported_names, modules

import llama_index_ft_rag

PACKAGE = "llama_index_ft_rag"
SOURCE = Path(llama_index_ft_rag.__file__).parent

# Every module may import earlier ones only. A sub-package's own name stands for its `__init__`, which comes after
# its modules; `__init__` alone is the root's. A new module gets its place here.
ORDER = """
    errors hostile_text storage concurrency

    sample tokenizer catalog provider_terms price_files prices break_even example_tokens example_usage

    offline.responder offline.protocol offline.service_errors offline.tokens offline.state offline.conditions
    offline.faults offline.metering
    offline.api.fields offline.api.json_lines offline.api.toy_limits offline.api.looks
    offline.api.content_parts offline.api.chat_messages offline.api.models offline.api.forms offline.api.files
    offline.api.job_settings offline.api.job_checks offline.api.job_fates offline.api.training_files
    offline.api.example_lengths offline.api.moderation offline.api.step_metrics offline.api.job_events
    offline.api.checkpoints offline.api.job_progress offline.api.jobs
    offline.api.answers offline.api.chat_body offline.api.chat_tools offline.api.chat_replies
    offline.api.chat offline.api.completions offline.api.embeddings
    offline.api.response_input offline.api.response_settings offline.api.response_events offline.api.responses
    offline.api.batch_settings offline.api.batch_input offline.api.batch_output offline.api.batch_progress
    offline.api.batches offline.api
    offline.toys.text offline.toys.prompts
    offline.toys.english_patterns offline.toys.english_clauses offline.toys.english_figures
    offline.toys.questions_english offline.toys.questions_chinese offline.toys.question_writer
    offline.toys.judge offline.toys.embedding offline.toys.features offline.toys.reader
    offline.toys.lessons offline.toys.training offline.toys.imitation offline.toys.preference
    offline.toys.readers offline.toys
    offline.in_process offline.loopback offline.backend offline.clients offline

    endpoints examples

    testing.rewriting testing.http_errors testing.connections testing.bodies testing.model_answers
    testing.files_and_jobs testing.running testing pytest_plugin

    documents.text documents.html documents.pdf documents.files documents.nodes documents

    questions.wording questions.question questions.prompts questions.replies questions.passages questions.harvest
    questions.generator questions.parting questions

    recording.log_lines recording.reasons recording.messages recording.query_groups recording.scopes
    recording.call_kinds recording.recorded_calls recording.kept_rows recording.journal recording.spans
    recording.streams recording.places recording.sent_settings recording.watching recording.wrapping recording.ears
    recording.doctor recording.dispatching recording.handler recording

    ledger.stored_responses ledger.store ledger.account ledger.llm ledger.embedding ledger.ledger ledger

    engines answering
    abstention.language abstention.english abstention.chinese abstention.german abstention.french abstention.spanish
    abstention.japanese abstention.detection abstention
    training_problems training_messages training_format

    curation.prompt_parts curation.drafts curation.prompt_leaks curation.rules curation.showing curation.outcome
    curation.lines curation.near_duplicates curation.beside_others curation.arguments curation.curate
    curation.scores curation.near_pairs curation.ties curation.leaks curation.splitting
    curation.passage_pool curation.raft_candidates curation.distractors
    curation.preferences curation.asking curation.judging curation.personal_data curation.masking
    curation.masked_curation
    curation.describing curation.folder curation

    exporting.turns exporting.alpaca exporting.sharegpt exporting.llama_factory exporting.parquet exporting.card
    exporting.left_out exporting.export
    exporting.configuration_text exporting.chat_rows exporting.trainer_form exporting.axolotl
    exporting.llama_factory_training exporting.trl_script exporting.unsloth_script exporting.together
    exporting.fireworks exporting.trainers exporting

    validation.rendering validation.report validation.findings validation.repeats validation.lines validation.counting
    validation.checking validation

    cost_figures cost_estimate

    finetuning.interface finetuning.talk finetuning.waiting finetuning.settings finetuning.job finetuning.outcome
    finetuning.listing finetuning.submission finetuning.curves finetuning.lifecycle
    finetuning.async_door finetuning.client
    finetuning.preflight finetuning.local_checks finetuning.service_checks finetuning.training
    finetuning.async_twins finetuning.openai
    finetuning.azure_deployment finetuning.azure_service finetuning.azure_deploying finetuning.azure finetuning

    scoring.judge scoring.ragas_library scoring.ragas_metrics scoring.evaluator scoring.scores scoring.example_scores
    scoring.evaluation
    scoring

    comparison.paired comparison.agreement comparison.money comparison.verdict comparison.per_question
    comparison.side_by_side comparison.compare comparison

    report.run_facts report.tables report.view report.text report.plots report.html
    report.report report

    run_folder run_report plan stages distillation __init__

    cli.failures cli.progress cli.services cli.talk cli.validating cli.training_data cli.exporting
    cli.job_services cli.job_words cli.job_progress cli.job_commands cli.training_run cli.training_jobs
    cli.app cli cli.__main__
"""

MOST_LINES = 350
LEFTOVER_DRAWERS = {"utils", "util", "common", "base", "types", "helpers", "misc"}


def test_every_module_imports_earlier_ones_only() -> None:
    """A stage can be read without opening a later one: no import goes back, lazy and type-only ones included."""
    assert breaches(SOURCE, ORDER) == []


def test_an_import_of_a_later_module_is_reported_wherever_it_hides(tmp_path: Path) -> None:
    """At the top, inside a function, for types alone, relative or by name: the same check sees each of them."""
    tree = write_tree(
        tmp_path / PACKAGE,
        {
            "__init__": f"from {PACKAGE}.late import x",
            "top": f"import {PACKAGE}.late",
            "lazy": f"def f():\n    from {PACKAGE} import late",
            "typed": f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {PACKAGE}.late import x",
            "relative": "from . import late",
            "by_name": f"import importlib\nimportlib.import_module('{PACKAGE}.late')",
            "through_root": f"from {PACKAGE} import __version__",
            "stage.inner": f"from {PACKAGE}.stage import x\nfrom .last import x",
            "stage.last": f"from {PACKAGE}.top import x\nfrom .inner import x",
            "stage.__init__": "from .last import x",
            "late": f"from {PACKAGE} import top\nfrom {PACKAGE}.stage.last import x\nimport json",
        },
    )
    order = "top lazy typed relative by_name through_root stage.inner stage.last stage late __init__"

    assert breaches(tree, order) == [
        "by_name imports late, which is not earlier",
        "lazy imports late, which is not earlier",
        "relative imports late, which is not earlier",
        "stage.inner imports stage, which is not earlier",
        "stage.inner imports stage.last, which is not earlier",
        "through_root imports __init__, which is not earlier",
        "top imports late, which is not earlier",
        "typed imports late, which is not earlier",
    ]


def test_a_module_without_a_place_and_a_place_without_a_module_are_reported(tmp_path: Path) -> None:
    """The order names exactly the modules that exist, each once."""
    tree = write_tree(tmp_path / PACKAGE, {"__init__": "", "first": "", "unplaced": ""})

    assert breaches(tree, "first gone first __init__") == [
        "unplaced has no place in the order",
        "gone is in the order and does not exist",
        "first is in the order twice",
    ]


def test_no_module_is_too_long_to_read_in_one_go() -> None:
    """At 350 lines a module holds more than one idea and is split by idea."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules(SOURCE).items()}

    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_module_is_a_drawer_for_leftovers() -> None:
    """A module's name says what it is about."""
    assert [name for name in modules(SOURCE) if LEFTOVER_DRAWERS & {p.strip("_") for p in name.split(".")}] == []


def breaches(source: Path, order: str) -> list[str]:
    """What of a source tree does not keep to an order of its modules, one sentence each."""
    found = modules(source)
    names = order.split()
    place = {name: number for number, name in enumerate(names)}
    back_edges = [
        f"{name} imports {target}, which is not earlier"
        for name, path in found.items()
        for target in sorted(set(imported_modules(path, name, found)))
        if place.get(target, len(names)) >= place.get(name, len(names))
    ]
    unplaced = [f"{name} has no place in the order" for name in found if name not in place]
    gone = [f"{name} is in the order and does not exist" for name in place if name not in found]
    twice = [f"{name} is in the order twice" for name in place if names.count(name) > 1]
    return back_edges + unplaced + gone + twice


def imported_modules(path: Path, name: str, found: dict[str, Path]) -> Iterator[str]:
    """The modules of its own package that a file names in any import."""
    package = name.split(".") if path.name == "__init__.py" and name != "__init__" else name.split(".")[:-1]
    for dotted in imported_names(path, package=[PACKAGE, *package]):
        if dotted == PACKAGE or dotted.startswith(f"{PACKAGE}."):
            yield nearest_module(dotted.removeprefix(PACKAGE).removeprefix("."), found)


def nearest_module(dotted: str, found: dict[str, Path]) -> str:
    """The module that an imported name lives in; what is no module's is the root's."""
    while dotted and dotted not in found:
        dotted = dotted.rpartition(".")[0]
    return dotted or "__init__"


def write_tree(root: Path, sources: dict[str, str]) -> Path:
    """A source tree from dotted module names."""
    for name, text in sources.items():
        path = root.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
