"""What is Azure's own about its fine-tuning API: how a client is made, what it refuses, what it says of a model.

In: addresses, keys and tokens, from arguments or the environment; conversations with the service. Out: a client,
sentences instead of Azure's terse answers, and checks before a training. Knows nothing of deployments.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timezone
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai

from llama_index_ft_rag.catalog import training_offers
from llama_index_ft_rag.errors import ConfigurationError, FinetuneError, FtRagError
from llama_index_ft_rag.finetuning.client import public_url
from llama_index_ft_rag.finetuning.preflight import Check
from llama_index_ft_rag.finetuning.settings import Method
from llama_index_ft_rag.finetuning.talk import Talk, ask

T = TypeVar("T")

GA_API_VERSION = "2024-10-21"
"""The latest dated version of files and jobs that is no preview (Microsoft's API lifecycle page, 2026)."""
_API_PATH = re.compile(r"/openai(/v1)?$")
_ACCOUNT_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


def make_azure_client(
    *,
    azure_endpoint: str | None = None,
    api_key: str | None = None,
    api_version: str | None = None,
    azure_ad_token_provider: Callable[[], str] | None = None,
) -> openai.OpenAI:
    """Make a client of an Azure resource; what is not given comes from the environment.

    An address that ends in `/openai/v1` needs no API version.

    Raises:
        ConfigurationError: If something is missing, given twice, or no address.
    """
    if api_key is not None and azure_ad_token_provider is not None:
        raise ConfigurationError("both api_key and azure_ad_token_provider were given; pass one or the other")
    endpoint = azure_endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT", "")
    version = api_version or os.environ.get("OPENAI_API_VERSION", "")
    kept = None if azure_ad_token_provider else os.environ.get("AZURE_OPENAI_API_KEY")
    token = os.environ.get("AZURE_OPENAI_AD_TOKEN")
    secret = api_key or azure_ad_token_provider or kept or token
    is_undated = endpoint.rstrip("/").endswith("/openai/v1")
    _check_given(endpoint, has_secret=bool(secret), version="none needed" if is_undated else version)
    if is_undated:
        return openai.OpenAI(base_url=endpoint, api_key=secret)
    return openai.AzureOpenAI(
        azure_endpoint=endpoint,
        api_key=api_key or kept,
        api_version=version,
        azure_ad_token_provider=azure_ad_token_provider,
    )


def check_azure_client(client: openai.OpenAI) -> None:
    """Refuse a client that can ask one deployment only.

    Raises:
        ConfigurationError: If it is bound to one: it would answer in the tuned model's place.
    """
    if "/deployments/" in urlsplit(str(client.base_url)).path:
        raise ConfigurationError(
            "client: is bound to one deployment, which would answer in the tuned model's place; make it without"
            " azure_deployment"
        )


def resource_url(client: openai.OpenAI) -> str:
    """Address of the resource, the same for each version of its API, so that a new version starts no new job."""
    return _API_PATH.sub("", public_url(client))


def account_of(address: str) -> str:
    """The account that an address most likely belongs to; its subdomain is the account's name unless changed."""
    host = urlsplit(address).hostname or ""
    return host.split(".")[0] if host.endswith(_ACCOUNT_HOSTS) else "ACCOUNT"


def base_name(model: str) -> str:
    """Name of the base of a model that Azure tuned: `gpt-4.1-mini-2025-04-14.ft-0a1b` -> `gpt-4.1-mini-2025-04-14`."""
    return model.partition(".ft-")[0]


def explained(talk: Talk[T], *, address: str, base_model: str) -> Talk[T]:
    """Hold a conversation, and say what is known of the errors that Azure has few words for.

    Raises:
        ConfigurationError: If Azure refused the key, token or role.
        FinetuneError: If there is no fine-tuning at that address, or none of that model.
    """
    try:
        return (yield from talk)
    except (openai.APIStatusError, FinetuneError) as exc:
        told = exc if isinstance(exc, openai.APIStatusError) else exc.__cause__
        better = _explanation(told, address, base_model) if isinstance(told, openai.APIStatusError) else None
        if better is None:
            raise
        raise better from exc


def check_azure_model(base_model: str, method: Method, *, today: date) -> Talk[list[Check]]:
    """Ask whether this resource can tune the model, and add what is known of how long Azure does."""
    checks = list(_known_dates(base_model, method, today=today))
    try:
        model = yield from ask(lambda client: client.models.retrieve(base_model))
    except openai.APIError:  # it was asked before; what it refused is among the checks already
        return checks
    return checks + list(_told_by_model(base_model, model, today=today))


def _check_given(endpoint: str, *, has_secret: bool, version: str) -> None:
    missing = [
        name
        for name, is_there in (
            ("azure_endpoint= or AZURE_OPENAI_ENDPOINT", bool(endpoint)),
            ("api_key= or AZURE_OPENAI_API_KEY, or azure_ad_token_provider=", has_secret),
            (f"api_version= or OPENAI_API_VERSION, such as {GA_API_VERSION}", bool(version)),
        )
        if not is_there
    ]
    if missing:
        raise ConfigurationError(f"not given, and not in the environment: {'; '.join(missing)}; or pass client=")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = endpoint.rpartition("@")[2]
        raise ConfigurationError(
            f"azure_endpoint {shown!r}: not an address; pass one like https://example.openai.azure.com"
        )


def _explanation(error: openai.APIStatusError, address: str, base_model: str) -> FtRagError | None:
    if isinstance(error, openai.AuthenticationError) and "data action" in error.message:
        return ConfigurationError(
            f"{address} knows the token, but its owner may not do this (401 {error.code}): give them a role for it on"
            " the resource, such as Cognitive Services OpenAI Contributor, and wait some minutes"
        )
    if isinstance(error, openai.AuthenticationError):
        return ConfigurationError(
            f"{address} denies access (401): the key or token is wrong, expired, or another resource's; check"
            " AZURE_OPENAI_API_KEY, or what was passed, and that the address is that resource's"
        )
    if isinstance(error, openai.NotFoundError) and error.code == "404":
        return FinetuneError(
            f"{address} answers 404 Resource not found to files and jobs: the address or the api_version is wrong, or"
            f" fine-tuning is not offered in the resource's region; try api_version={GA_API_VERSION!r}, else a resource"
            " in a region that Microsoft lists for fine-tuning"
        )
    if isinstance(error, openai.BadRequestError) and "does not support fine-tuning" in error.message:
        # The same words come where the training type is not offered for this model (litellm#24687, 2026-03).
        return FinetuneError(
            f"{address} does not tune {base_model} in this way (400): name the dated model, such as"
            " gpt-4.1-mini-2025-04-14; pass training_type='GlobalStandard'; or use a resource in a region that tunes it"
        )
    return None


def _known_dates(base_model: str, method: Method, *, today: date) -> Iterator[Check]:
    offer = next((one for one in training_offers(base_name(base_model)) if one.service == "azure"), None)
    if offer is None:
        message = f"{base_model} is not among the models that Azure is known to tune; ask for one that is"
        yield Check(name="model", level="warning", message=message)
        return
    if method not in offer.methods:
        message = f"Azure is known to train {base_model} with {' or '.join(offer.methods)}, not with {method}"
        yield Check(name="model", level="warning", message=message)
    last = offer.no_new_jobs_from
    is_over = last is not None and today >= last
    jobs = f"until {last} at least" if last else "without an end"
    until = f" and deployments until {offer.tuned_until}" if offer.tuned_until else ""
    message = f"Azure announced jobs for {base_model} {jobs}{until}, for {offer.customers} ({offer.as_of})"
    yield Check(name="model", level="warning" if is_over else "ok", message=message)


def _told_by_model(base_model: str, model: Any, *, today: date) -> Iterator[Check]:
    """Azure's answer has fields that the SDK has no names for; on the undated API they may be missing."""
    can = getattr(model, "capabilities", None)
    if isinstance(can, Mapping) and can.get("fine_tune") is False:
        message = f"this resource cannot tune {base_model}; name another model, or use a resource in another region"
        yield Check(name="model", level="error", message=message)
    ends = getattr(model, "deprecation", None)
    stamp = ends.get("fine_tune") if isinstance(ends, Mapping) else None
    if isinstance(stamp, (int, float)) and 0 < stamp < 10**11:
        day = datetime.fromtimestamp(stamp, tz=timezone.utc).date()
        message = f"this resource tunes {base_model} until {day}"
        yield Check(name="model", level="error" if day <= today else "ok", message=message)
