"""Options and environment -> the service that trains, and the job that is meant.

In: a base URL, a backend's name, a folder; a job's id, or the path of its record. Out: an endpoint, or a `JobPlace`.
No address is taken from a record: a file must not say where a key is sent. Asks nobody.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from llama_index_ft_rag.catalog import is_offline_model
from llama_index_ft_rag.cli.services import Backend, names_a_service
from llama_index_ft_rag.endpoints import OPENAI_URL, Endpoint
from llama_index_ft_rag.errors import ConfigurationError, JobNotStartedError
from llama_index_ft_rag.finetuning import JobRecord, OpenAIFinetuneEngine
from llama_index_ft_rag.hostile_text import one_line
from llama_index_ft_rag.offline import OFFLINE_URL

SERVICE = "Service"

BackendOption = Annotated[
    Backend | None, typer.Option(help="By default openai; offline: the built-in toys.", rich_help_panel=SERVICE)
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Any such service (OPENAI_API_KEY).", rich_help_panel=SERVICE),
]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Of the offline backend; by default beside.", rich_help_panel=SERVICE),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True, kw_only=True)
class JobPlace:
    """A job and where it is."""

    job_id: str
    endpoint: Endpoint
    base_model: str = ""
    base_url: str | None = None
    """The address, where an option named it."""
    record: Path | None = None
    """Its record, where that was passed in place of the id."""

    def engine(self) -> OpenAIFinetuneEngine:
        """Attach to the job."""
        return OpenAIFinetuneEngine.from_job(
            self.job_id,
            base_model=self.base_model,
            client=self.endpoint.client(),
            poll_interval=poll_interval(self.endpoint),
        )

    def command(self, verb: str) -> str:
        """The `ft-rag job` command for this job, as it can be typed."""
        return shlex.join(["ft-rag", "job", verb, self.job_id, *service_options(self.endpoint, self.base_url)])


def service_options(endpoint: Endpoint, base_url: str | None) -> list[str]:
    """The options that lead another command to the same service."""
    if isinstance(endpoint.offline, Path):
        return ["--backend", "offline", "--state", str(endpoint.offline)]
    return ["--base-url", base_url] if base_url else []


def poll_interval(endpoint: Endpoint) -> float:
    """Seconds between two looks at a job, at most; the toys are quick."""
    return 1.0 if endpoint.is_offline else 20.0


def training_endpoint(
    model: str, *, backend: Backend | None, base_url: str | None, state: Path | None, beside: Path
) -> Endpoint:
    """The service that shall train `model`.

    Args:
        model: Name of the base model.
        backend: As the option says.
        base_url: As the option says.
        state: Folder of the offline backend, as the option says.
        beside: The job record; the offline backend's folder lies beside it by default.

    Raises:
        ConfigurationError: If the options contradict each other, or the key is missing.
    """
    toys = is_offline_model(model) and not (base_url or names_a_service())
    if _is_offline(backend, base_url, state) or (backend is None and toys):
        return Endpoint.for_offline(state or beside.parent / "offline")
    return Endpoint.from_environment(base_url)


def find_job(named: str, *, backend: Backend | None, base_url: str | None, state: Path | None) -> JobPlace:
    """The job of an id, or of the record at a path.

    Raises:
        ConfigurationError: If there is no such record, it belongs to another service, or the options contradict
            each other.
        JobNotStartedError: If the record knows of no job yet.
    """
    path = _record_path(named)
    if path is None:
        endpoint = _endpoint(backend, base_url, state, default=Path("offline"))
        return JobPlace(job_id=named, endpoint=endpoint, base_url=base_url)
    record = _read(path)
    if record.job_id is None:
        raise JobNotStartedError(f"{path}: no job was started yet; run the `ft-rag finetune` that made it again")
    is_toy = record.endpoint == OFFLINE_URL
    endpoint = _endpoint("offline" if is_toy else backend, base_url, state, default=path.parent / "offline")
    asked = endpoint.base_url.rstrip("/")
    if asked != record.endpoint.rstrip("/"):
        told = one_line(record.endpoint, limit=200)
        raise ConfigurationError(f"{path}: its job is at {told}, and {asked} would be asked; add --base-url {told}")
    return JobPlace(
        job_id=record.job_id, endpoint=endpoint, base_model=record.base_model, base_url=base_url, record=path
    )


def _is_offline(backend: Backend | None, base_url: str | None, state: Path | None) -> bool:
    if backend == "offline" and base_url:
        raise ConfigurationError("--backend offline and --base-url exclude each other: drop one of them")
    if state is not None and (base_url or backend == "openai"):
        raise ConfigurationError(f"--state {state}: is the offline backend's folder; drop it, or add --backend offline")
    return backend == "offline" or state is not None


def _endpoint(backend: Backend | None, base_url: str | None, state: Path | None, *, default: Path) -> Endpoint:
    if not _is_offline(backend, base_url, state):
        return Endpoint.from_environment(base_url)
    folder = state or default
    if not folder.is_dir():
        # The backend would make an empty one, and then know no job.
        raise ConfigurationError(f"{folder}: no folder of an offline backend is there; name it with --state")
    return Endpoint.for_offline(folder)


def _record_path(named: str) -> Path | None:
    if not named.strip():
        raise ConfigurationError("the job id is empty: pass one like ftjob-..., or the path of a job record")
    for path in _candidates(named):
        if path.is_file():
            return path
    if named.endswith((".json", ".jsonl")) or "/" in named or "\\" in named or Path(named).is_dir():
        raise ConfigurationError(f"{named}: there is no job record; pass one (job.json, FILE.job.json) or a job's id")
    return None


def _candidates(named: str) -> Iterator[Path]:
    if not named.endswith(".jsonl"):
        yield Path(named)
    yield Path(f"{named}.job.json")
    if named.endswith(".jsonl"):
        yield Path(named).parent / "job.json"  # of a run folder
    yield Path(named) / "job.json"


def _read(path: Path) -> JobRecord:
    try:
        return JobRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise ConfigurationError(
            f"{path}: not a job record that this version can read; pass the job's id instead"
        ) from exc


def is_openai_default(endpoint: Endpoint) -> bool:
    """Whether a client asks there when nothing is said."""
    return endpoint.base_url.rstrip("/") == OPENAI_URL
