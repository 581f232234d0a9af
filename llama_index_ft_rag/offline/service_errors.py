"""The service's known errors, in its own words: one home for what endpoints, limits and faults answer with.

In: what an error is about, such as a model or a limit. Out: the failure, for an error body. Each docstring says
where the words were seen, and when; what nobody has published is called a guess. Knows nothing of when it is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from llama_index_ft_rag.offline.protocol import Request, json_of
from llama_index_ft_rag.offline.responder import ApiFailure

Unit = Literal["requests", "tokens"]
"""What there may be only so much of in a minute."""

_UNIT_NAMES: Mapping[Unit, str] = {"requests": "RPM", "tokens": "TPM"}


def rate_limited(
    model: str,
    *,
    unit: Unit,
    limit: int,
    used: int,
    requested: int | None = None,
    retry_after: float | None = None,
) -> ApiFailure:
    """429 `rate_limit_exceeded`: too much was asked of a model within a minute.

    As quoted in BuilderIO/micro-agent#86 (2025-07-09) and continuedev/continue#11472 (2026-03-16); its type is the
    unit, as in TheR1D/shell_gpt#653 (2024-12-10).

    Args:
        model: What was asked.
        unit: What there was too much of.
        limit: How much there may be in a minute.
        used: How much there was.
        requested: How much more was asked for; `None` leaves it out.
        retry_after: Seconds to wait, told in the message and in `Retry-After`; `None` tells neither.
    """
    more = "" if requested is None else f", Requested {requested}"
    wait = "" if retry_after is None else f" Please try again in {retry_after:g}s."
    return ApiFailure(
        message=f"Rate limit reached for {model} in organization org-offline on {unit} per min ({_UNIT_NAMES[unit]}): "
        f"Limit {limit}, Used {used}{more}.{wait}",
        status=429,
        type=unit,
        code="rate_limit_exceeded",
        retry_after=retry_after,
    )


def quota_used_up() -> ApiFailure:
    """429 `insufficient_quota`: nothing is left to spend; trying again does not help.

    As quoted in ChatGPTNextWeb/NextChat#3123 (2023-11-01).
    """
    return ApiFailure(
        message="You exceeded your current quota, please check your plan and billing details.",
        status=429,
        type="insufficient_quota",
        code="insufficient_quota",
    )


def training_not_available() -> ApiFailure:
    """403 `training_not_available`: the organisation may create no jobs any more; the upload before went well.

    As quoted in ed-donner/llm_engineering#3258 (2026-05-26).
    """
    return ApiFailure(
        message="OpenAI is winding down the fine-tuning platform and your organization is no longer able to create new "
        "fine-tuning training jobs. Learn more "
        "https://developers.openai.com/api/docs/deprecations#update-to-openais-self-serve-fine-tuning",
        status=403,
        code="training_not_available",
    )


def training_not_on_free_plan() -> ApiFailure:
    """429 `exceeded_quota`: the organisation's plan has no fine-tuning.

    The message is from a user's report of 2024, which names neither status nor code: both are a guess.
    """
    return ApiFailure(
        message="Fine-tuning jobs cannot be created on an Explore plan. You can upgrade to a paid plan on your billing "
        "page: https://platform.openai.com/account/billing/overview",
        status=429,
        code="exceeded_quota",
    )


def too_many_active_jobs(model: str, *, limit: int, running: int, pending: int) -> ApiFailure:
    """429 `rate_limit_exceeded`: as many fine-tuning jobs are under way as may be.

    The message is a user's report, and its type is not `requests`, so that clients try again in vain; the same
    sentence about jobs per day is in johny-b/llmcomp#58 (2026-02-12), with the code `daily_rate_limit_exceeded`.
    """
    return ApiFailure(
        message="This fine-tune request has been rate-limited. Your organization has reached the maximum of "
        f"{limit} active requests ({running} running, {pending} pending) for the model '{model}'.",
        status=429,
        code="rate_limit_exceeded",
    )


def model_not_found(model: str) -> ApiFailure:
    """404 `model_not_found`: a call of a model that nobody has, or that this key may not use.

    As quoted in openai/openai-agents-python#458 (2025-04-08).
    """
    return ApiFailure(
        message=f"The model `{model}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
    )


def file_too_large(*, limit: int, size: int) -> ApiFailure:
    """413: an upload has more bytes than the service reads.

    As quoted in GerardPolloRebozado/social-to-mealie#32 (2025-04-07) and, with its type, in chidiwilliams/buzz#381
    (2023-03-21), both of an upload of sound; that an upload of `/v1/files` is refused in the same words is a guess.
    """
    return ApiFailure(
        message=f"413: Maximum content size limit ({limit}) exceeded ({size} bytes read)",
        status=413,
        type="server_error",
    )


def batch_file_too_large() -> ApiFailure:
    """400: the input file of a batch has more bytes than the service takes of one.

    As quoted in bespokelabsai/curator#111 (2024-11-15).
    """
    return ApiFailure(message="File is too large.")


def server_error(more: str = "") -> ApiFailure:
    """500: the service failed; `more` is said after its own words.

    As quoted in openai/codex#48 (2025-04-16).
    """
    message = f"The server had an error while processing your request. Sorry about that!{more}"
    return ApiFailure(message=message, status=500, type="server_error")


def model_of(request: Request) -> str:
    """Return the model that a request names, as errors repeat it; empty where it names none."""
    model = json_of(request).get("model")
    return model if isinstance(model, str) else ""
