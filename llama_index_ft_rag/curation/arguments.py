"""What a caller passes to `curate` -> checked values, and the caller's own functions as rules.

In: arguments of any type. Out: the same, or one sentence about the first that is none of what it should be. Knows
nothing of examples.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from numbers import Integral, Real
from typing import TypeVar

from llama_index_ft_rag.curation.outcome import RULES
from llama_index_ft_rag.curation.rules import Candidate, Rule
from llama_index_ft_rag.errors import ConfigurationError, FtRagError
from llama_index_ft_rag.examples import TrainingExample

UserRule = Callable[[TrainingExample], object]
"""Says why an example should not be trained on: a text, or anything true. What is false or `None` lets it pass."""

SWITCHES = tuple(name for name in RULES if name != "unreadable")
"""Rules that can be switched off; what is no example cannot be kept."""
_TOTALS = ("kept", "dropped", "total")

Name = TypeVar("Name", bound=str)


def check_names(argument: str, names: Iterable[Name], *, known: Collection[str] | None = None) -> tuple[Name, ...]:
    """Give the names as a tuple.

    Raises:
        ConfigurationError: If they are one text instead of several, or one of them is not known.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigurationError(f"{argument} is {names!r}; pass a list, such as [{names!r}]")
    found = tuple(names)
    unknown = [name for name in found if not isinstance(name, str) or (known is not None and name not in known)]
    if unknown:
        these = f"it may name {', '.join(known)}" if known is not None else "pass texts"
        raise ConfigurationError(f"{argument}: there is no {unknown[0]!r}; {these}")
    return found


def check_number(
    argument: str,
    value: object,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    whole: bool = False,
    or_none: bool = False,
) -> None:
    """Refuse what is no number within its bounds; `None` passes where it is allowed.

    Raises:
        ConfigurationError: If it is none.
    """
    if value is None and or_none:
        return
    right_type = isinstance(value, Integral if whole else Real)
    if not right_type or isinstance(value, bool) or not least <= value <= most:  # type: ignore[operator]  # a number
        bounds = f" from {least:g} to {most:g}" if most < math.inf else f" of at least {least:g}" * (least > -math.inf)
        raise ConfigurationError(f"{argument} is {value!r}; pass a {'whole ' if whole else ''}number{bounds}")


def check_examples(examples: Iterable[TrainingExample]) -> list[TrainingExample]:
    """Give the examples as a list.

    Raises:
        ConfigurationError: If one of them is something else.
    """
    given = list(examples)
    if wrong := [one for one in given if not isinstance(one, TrainingExample)]:
        raise ConfigurationError(
            f"examples: {type(wrong[0]).__name__} is no TrainingExample; read a file with read_lines or read_examples"
        )
    return given


def known_scores(scores: Mapping[str, float | None]) -> dict[str, float]:
    """The scores that are numbers; what could not be scored has none.

    Raises:
        ConfigurationError: If one is something else than a number or `None`.
    """
    for key, score in scores.items():
        if score is not None and (not isinstance(score, Real) or isinstance(score, bool)):
            raise ConfigurationError(f"scores[{key!r}] is {score!r}; pass a number, or None where there is no score")
    return {key: float(score) for key, score in scores.items() if score is not None and not math.isnan(score)}


def user_rules(rules: Iterable[UserRule]) -> list[Rule]:
    """The caller's functions as rules, by their own names.

    Raises:
        ConfigurationError: If one is no plain function, or two rules have the same name.
    """
    if not isinstance(rules, Iterable):
        raise ConfigurationError(f"rules is {rules!r}; pass a list of functions")
    made: list[Rule] = []
    for rule in rules:
        if not callable(rule) or inspect.iscoroutinefunction(rule):
            raise ConfigurationError(f"rules: {rule!r} is no plain function; pass functions of one example")
        name = str(getattr(rule, "__name__", type(rule).__name__)).strip("<>")
        if name in {*RULES, *_TOTALS, *(earlier.name for earlier in made)}:
            raise ConfigurationError(f"rules: the name {name} is taken; give your rule another one")
        made.append(Rule(name=name, check=partial(_ask, rule=rule, name=name)))
    return made


def _ask(candidate: Candidate, *, rule: UserRule, name: str) -> str | None:
    try:
        said = rule(candidate.example)
        refused = bool(said)
    except Exception as exc:
        raise FtRagError(
            f"the rule {name} failed on the example {candidate.content_hash}: {type(exc).__name__}: {exc}; "
            "mend the rule, and try again"
        ) from exc
    if isinstance(said, str):
        return said.strip() or None
    return f"refused by {name}" if refused else None
