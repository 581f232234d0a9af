from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {blocked!r} or name == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def _run(code: str, *, blocked: str = "") -> str:
    """Run code in a fresh interpreter in which each warning is an error; return what it printed."""
    setup = BLOCKER.format(blocked=blocked) if blocked else ""
    environment = {name: value for name, value in os.environ.items() if name != "RAGAS_DO_NOT_TRACK"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", setup + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_scoring_modules_does_not_import_ragas() -> None:
    """Who does not score pays neither ragas' seconds nor its memory."""
    printed = _run("""
        import sys
        import llama_index_ft_rag.scoring, llama_index_ft_rag.scoring.evaluation
        print(sorted({"ragas", "datasets", "pandas", "langchain_core"} & set(sys.modules)))
    """)

    assert printed == "[]"


def test_ragas_is_imported_without_warnings_telemetry_or_a_patched_loop() -> None:
    """An app that turns warnings into errors can score; its filters and its event loop stay as they are."""
    printed = _run("""
        import asyncio, warnings
        from llama_index_ft_rag.scoring.ragas_library import load_ragas
        before = list(warnings.filters), asyncio.run
        library = load_ragas()
        from ragas._analytics import do_not_track
        print(library.version.split(".")[:2], do_not_track(), before == (list(warnings.filters), asyncio.run))
    """)

    assert printed == "['0', '4'] True True"


def test_a_missing_ragas_says_what_to_install() -> None:
    """Making an evaluator without the extra fails at once, with the line that helps."""
    printed = _run(
        """
        from llama_index.core.llms import MockLLM
        from llama_index_ft_rag.errors import MissingExtraError
        from llama_index_ft_rag.scoring.evaluator import RagasEvaluator
        try:
            RagasEvaluator("faithfulness", MockLLM())
        except MissingExtraError as error:
            print(error)
        """,
        blocked="ragas",
    )

    assert printed == 'scoring with ragas needs ragas: pip install "llama-index-ft-rag[ragas]"'


def test_ragas_is_imported_without_the_module_that_langchain_community_dropped() -> None:
    """An app that pins langchain-community 0.4.2 can score, and sees no made-up module afterwards."""
    module = "langchain_community.chat_models.vertexai"
    printed = _run(
        f"""
        from llama_index_ft_rag.scoring.ragas_library import load_ragas
        print(load_ragas().faithfulness.__name__, {module!r} in sys.modules)
        """,
        blocked=module,
    )

    assert printed == "Faithfulness False"


def test_a_telemetry_setting_that_is_there_already_is_kept() -> None:
    """Only who said nothing is opted out."""
    printed = _run("""
        import os
        os.environ["RAGAS_DO_NOT_TRACK"] = "TRUE"
        from llama_index_ft_rag.scoring.ragas_library import load_ragas
        load_ragas()
        print(os.environ["RAGAS_DO_NOT_TRACK"])
    """)

    assert printed == "TRUE"
