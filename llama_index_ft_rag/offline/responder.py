"""What answers behind the offline backend: the responder protocol, its values, and a scripted one for tests.

In: a chat request, texts to embed, or the lines of a training file. Out: a reply, vectors, or weights that
JSON can hold. Knows nothing of HTTP, files on disk, or the state of jobs.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from llama_index_ft_rag.errors import ConfigurationError

OfflineModel = Literal["offline-teacher", "offline-student", "offline-judge", "offline-embedding"]
"""Names of the built-in toy models."""
OFFLINE_MODELS: tuple[OfflineModel, ...] = get_args(OfflineModel)
EMBEDDING_MODEL: OfflineModel = "offline-embedding"
TUNABLE_MODEL: OfflineModel = "offline-student"

FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]
ChatEndpoint = Literal["chat/completions", "completions", "responses"]
TrainingMethod = Literal["supervised", "dpo"]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One answer that is asked for, at any endpoint, in the form of a chat."""

    model: str
    messages: list[dict[str, Any]]
    """As they came over the wire, checked only for their shape. A prompt of `/v1/completions` is one message from
    the user; the instructions and items of `/v1/responses`, and what came before them, are messages too."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Everything else of the body: temperature, response_format, max_tokens, tools, ... Of `/v1/responses`, `tools`,
    `tool_choice` and `response_format` are in the form of a chat too, and the rest as it came."""
    endpoint: ChatEndpoint = "chat/completions"
    """Where it was asked for."""
    seed: int = 0
    """Depends on the backend's seed, the body's `seed`, the body itself and the index of the choice (`n`)."""


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call that a model asks for instead of answering, or beside its answer."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    """JSON must be able to hold them. A text is sent as it is, be it JSON or not: models get it wrong at times."""
    id: str | None = None
    """`None`: made from the request."""


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What a model says.

    Raises:
        ConfigurationError: If it says nothing at all.
    """

    content: str | None = None
    """`None` only beside tool calls or a refusal, or where another reason ended it before it began."""
    finish_reason: FinishReason = "stop"
    """`stop` is reported as `tool_calls` where there are some."""
    tool_calls: Sequence[ToolCall] = ()
    refusal: str | None = None
    """The model's own refusal of a structured output."""

    def __post_init__(self) -> None:
        if self.content is None and self.refusal is None and not self.tool_calls and self.finish_reason == "stop":
            raise ConfigurationError("ChatReply() says nothing: give it content, which may be empty, or tool_calls")


@dataclass(frozen=True, kw_only=True)
class ApiFailure:
    """An error that the service answers with, in place of a reply."""

    message: str
    status: int = 400
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    """Seconds, sent as `Retry-After`; `None` sends no such header."""


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """One training that is asked for."""

    lines: Sequence[dict[str, Any]]
    """The lines of the training file, checked for the shape that `method` needs."""
    base_model: str
    seed: int
    n_epochs: int
    method: TrainingMethod = "supervised"
    beta: float = 0.1
    """Of `dpo`: how far the weights may move from the base model's; more is nearer."""
    validation_lines: Sequence[dict[str, Any]] = ()
    """Only measured on."""


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """One step of a training: becomes one `metrics` event of the job."""

    step: int
    """Counts from 1 over all epochs."""
    total_steps: int
    epoch: int
    """Counts from 1."""
    train_loss: float
    train_accuracy: float | None = None
    """Between 0 and 1; `None` where the model has no such figure."""
    valid_loss: float | None = None
    """On the validation lines; `None` where it was not measured."""
    valid_accuracy: float | None = None
    weights: Mapping[str, Any] | None = None
    """Weights after this step, where a checkpoint is to be kept: at the end of an epoch."""


@runtime_checkable
class Responder(Protocol):
    """Decides what the models of the offline backend say.

    Calls come from several threads at once. The same seed and inputs must give the same outputs, because an
    interrupted training is run again and has to end with identical weights.
    """

    def models(self) -> Sequence[str] | None:
        """Names that answer, tuned ones aside; `None` accepts any name."""

    def chat(self, request: ChatRequest) -> ChatReply | ApiFailure:
        """Answer one request."""

    def embed(self, texts: Sequence[str], *, model: str) -> list[list[float]]:
        """Return one vector per text, in order."""

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any] | ApiFailure:
        """Train on the lines of an uploaded file and return the weights, which JSON must be able to hold.

        An `ApiFailure` ends the job as failed, with its code, message and param. What `on_step` raises passes
        through: it ends the training.
        """

    def load(self, model_id: str, weights: dict[str, Any]) -> None:
        """Make a tuned model answer: called after its training, and again when a backend is restarted."""


Said = str | ChatReply | ApiFailure
"""What a script says: a text is a reply of that content."""
Script = Callable[[ChatRequest], Said]


class ScriptedResponder:
    """Says what a test wants, under the model names it wants.

    Args:
        answers: A function of the request, or what is said in turn, the last of it again and again.
        models: Names that answer; `None` is any name.
        losses: Losses of a "training", one step each; its weights only name what it was given.
        dimensions: Length of the embeddings, which depend on the text alone.

    Example:
        >>> responder = ScriptedResponder(["first", "second"])
        >>> responder.chat(ChatRequest(model="gpt-4", messages=[])).content
        'first'
    """

    def __init__(
        self,
        answers: Script | Sequence[Said],
        *,
        models: Sequence[str] | None = None,
        losses: Sequence[float] = (2.0, 1.0, 0.5),
        dimensions: int = 8,
    ) -> None:
        if not callable(answers) and (isinstance(answers, str) or not answers):
            raise ConfigurationError(
                f"ScriptedResponder(answers={answers!r}): pass a function or a list with at least one text"
            )
        if isinstance(models, str):
            raise ConfigurationError(f"ScriptedResponder(models={models!r}): pass a list of names, as [{models!r}]")
        if not all(isinstance(loss, (int, float)) for loss in losses):
            raise ConfigurationError(f"ScriptedResponder(losses={losses!r}): pass a list of numbers")
        if not isinstance(dimensions, int) or dimensions < 1:
            raise ConfigurationError(f"ScriptedResponder(dimensions={dimensions!r}): pass a whole number above 0")
        self._script: Script = answers if callable(answers) else _InTurn(answers)
        self._models = None if models is None else tuple(models)
        self._losses = tuple(losses)
        self._dimensions = dimensions
        self.loaded: dict[str, Mapping[str, Any]] = {}
        """Weights of the tuned models, by model id."""

    def models(self) -> Sequence[str] | None:
        """Accept the names it was given, or any."""
        return self._models

    def chat(self, request: ChatRequest) -> ChatReply | ApiFailure:
        """Say the next thing of the script.

        Raises:
            ConfigurationError: If the script returns what nobody can say.
        """
        said = self._script(request)
        if isinstance(said, str):
            return ChatReply(content=said)
        if not isinstance(said, (ChatReply, ApiFailure)):
            raise ConfigurationError(f"A script returned {said!r}: return a text, a ChatReply or an ApiFailure")
        return said

    def embed(self, texts: Sequence[str], *, model: str) -> list[list[float]]:
        """Return vectors made from a hash of each text: equal texts are equal, others are far apart."""
        return [_hash_vector(f"{model}\n{text}", self._dimensions) for text in texts]

    def train(self, request: TrainRequest, on_step: Callable[[TrainStep], None]) -> dict[str, Any]:
        """Report the scripted losses, and return what was passed as the weights; each step is a checkpoint."""
        weights = {
            "base_model": request.base_model,
            "examples": len(request.lines),
            "seed": request.seed,
            "n_epochs": request.n_epochs,
        }
        total = len(self._losses)
        for step, loss in enumerate(self._losses, start=1):
            epoch = 1 + (step - 1) * request.n_epochs // total
            on_step(
                TrainStep(step=step, total_steps=total, epoch=epoch, train_loss=loss, weights={**weights, "step": step})
            )
        return weights

    def load(self, model_id: str, weights: dict[str, Any]) -> None:
        """Remember the weights."""
        self.loaded[model_id] = weights


def offline_family(model: str) -> OfflineModel | None:
    """Return the built-in model that `model` is or was tuned from; `None` for every other name."""
    base = base_of(model)
    return next((name for name in OFFLINE_MODELS if name == base), None)


def base_of(model: str) -> str:
    """Return the model that a tuned one, `ft:base:organisation:suffix:id`, was tuned from; any other is its own."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else model


class _InTurn:
    def __init__(self, answers: Sequence[Said]) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._next = 0

    def __call__(self, request: ChatRequest) -> Said:  # noqa: ARG002 - a script is a function of the request
        with self._lock:
            said = self._answers[min(self._next, len(self._answers) - 1)]
            self._next += 1
        return said


def _hash_vector(text: str, dimensions: int) -> list[float]:
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(dimensions * 2)
    raw = [int.from_bytes(digest[i : i + 2], "big") / 32767.5 - 1.0 for i in range(0, len(digest), 2)]
    norm = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [value / norm for value in raw]
