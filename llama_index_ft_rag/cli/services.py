"""Options and environment -> the services a run asks, and whether they are there and have the models.

In: base URLs, a backend's name, a plan. Out: endpoints; an error or notices about a plan, before anything is paid.
Listing a service's models is all that is asked of it here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import openai

from llama_index_ft_rag.endpoints import OPENAI_URL, Endpoint
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.finetuning import ask_service
from llama_index_ft_rag.plan import Plan

Backend = Literal["openai", "offline"]

PATIENCE_S = 20.0
"""Deadline of a question that costs nothing; a service that needs longer for it will not carry a run."""


def main_endpoint(backend: Backend | None, base_url: str | None, folder: Path, *, role_urls: Sequence[str]) -> Endpoint:
    """The service of every role that has none of its own, and of the embeddings.

    Raises:
        ConfigurationError: If the options contradict each other, or a key is missing.
    """
    if backend == "offline" and (base_url or role_urls):
        raise ConfigurationError("--backend offline and a base URL exclude each other: drop one of them")
    if backend == "offline" or not (backend or base_url or role_urls or names_a_service()):
        return Endpoint.for_offline(folder / "offline")
    if role_urls and not (base_url or names_a_service()):
        raise ConfigurationError(
            "no service for the embeddings and the remaining roles: name it with --base-url, or set OPENAI_API_KEY"
        )
    return Endpoint.from_environment(base_url)


def names_a_service() -> bool:
    """Whether the environment says where to ask."""
    return any(os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"))


def role_endpoint(role: str, base_url: str | None, main: Endpoint) -> Endpoint | None:
    """A role's own service, where it has one, with its own key.

    Raises:
        ConfigurationError: If the address is none, or its key is missing.
    """
    if base_url is None:
        return None
    # The main key never goes to another host: each role's service has its own variable.
    variable = f"FT_RAG_{role.upper()}_API_KEY"
    if variable not in os.environ and base_url.rstrip("/") == main.base_url.rstrip("/"):
        variable = "OPENAI_API_KEY"
    return Endpoint.from_environment(base_url, key_variable=variable)


def check_services(plan: Plan) -> Iterator[str]:
    """Ask each service of a plan which models it has; yield what could not be made sure.

    Raises:
        ConfigurationError: If a service says that it does not have a model, or is no such service.
        openai.OpenAIError: If it cannot be reached, or refuses the key.
    """
    wanted: dict[Endpoint, list[str]] = {}
    for endpoint, model in plan.asked():
        wanted.setdefault(endpoint, []).append(model)
    for endpoint, models in wanted.items():
        client = endpoint.client().with_options(timeout=PATIENCE_S, max_retries=1)
        try:
            listed = {model.id for model in client.models.list()}
        except (openai.NotFoundError, openai.APIStatusError) as exc:
            if exc.status_code in (401, 403) or exc.status_code >= 500:
                raise
            yield f"{endpoint.base_url} does not list its models, so their names could not be checked"
            continue
        # The openai library takes whatever comes with status 200 for a list of models.
        except (AttributeError, TypeError, ValueError) as exc:
            raise ConfigurationError(
                f"{endpoint.base_url}: did not answer like the OpenAI API; check the base URL (it usually ends in /v1)"
            ) from exc
        for model in models:
            if model not in listed and not _answers_to(client, model, endpoint, listed):
                yield f"{endpoint.base_url} does not list {model!r}; going on in case it answers to that name"
    yield from _about_training(plan)


def _about_training(plan: Plan) -> Iterator[str]:
    """What should be read before the question; that a model cannot be trained is an error of the run itself."""
    if plan.training_endpoint.is_offline:
        return
    trainer = plan.training_endpoint.client().with_options(timeout=PATIENCE_S, max_retries=1)
    for check in ask_service(trainer, plan.student.model):
        if check.level == "warning" and check.name == "organisation":
            yield f"{check.name}: {check.message}"


def _answers_to(client: openai.OpenAI, model: str, endpoint: Endpoint, listed: set[str]) -> bool:
    """Some services answer to more names than they list: ask for this one."""
    try:
        client.models.retrieve(model)
    except openai.NotFoundError as exc:
        if exc.code == "model_not_found" or endpoint.base_url == OPENAI_URL:
            near = difflib.get_close_matches(model, sorted(listed), n=3) or sorted(listed)[:5]
            raise ConfigurationError(
                f"{endpoint.base_url} has no model {model!r}: name another one (it has {', '.join(near) or 'none'})"
            ) from exc
        return False
    except openai.APIStatusError:
        return False
    return True
