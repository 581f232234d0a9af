"""What goes wrong between a client and the offline backend: rules that say which fault strikes which request.

In: a request, and the way to answer it. Out: a response that a fault may have kept back, changed or broken.
A rule strikes by route, count and chance; the same seed and the same requests meet the same faults, in
whatever order threads send them. Knows nothing of what the faults do.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.offline.protocol import (
    ConnectionLost,
    Handler,
    Refusal,
    Request,
    Response,
    error_response,
    stable_hash,
)


@dataclass(frozen=True, kw_only=True)
class Fault(ABC):
    """One thing that can go wrong; a subclass says what."""

    name: str
    """What it is called in the log of strikes."""
    route: str = "*"
    """Where it belongs if a rule does not say: `*`, or `POST /v1/fine_tuning/jobs`."""
    times: int | None = 1
    """How often it strikes if a rule does not say; `None` is every time."""
    reach: tuple[str, ...] = ("*",)
    """Where it can strike at all; a rule for other routes alone is an error."""

    def concerns(self, request: Request) -> bool:  # noqa: ARG002 - what a subclass decides by
        """Tell whether there is anything about a request within its reach that can go wrong this way."""
        return True

    @abstractmethod
    def strike(self, request: Request, proceed: Handler) -> Response:
        """Answer a request wrongly; `proceed` answers it as if nothing were wrong, and then it took effect.

        Where there is nothing to spoil, hand on the same request and return the very answer to it, without having
        read a body that can be read only once: that is no strike, and the fault waits for the next request.

        Raises:
            Refusal: For an error body.
            ConnectionLost: For no answer at all.
        """


@dataclass(frozen=True, kw_only=True)
class Strike:
    """One request that a fault struck."""

    fault: str
    method: str
    path: str


class Rule:
    """When a fault strikes."""

    def __init__(
        self,
        fault: Fault,
        *,
        route: str,
        times: int | None,
        skip: int,
        probability: float,
        where: Callable[[Request], bool] | None,
        seed: str,
    ) -> None:
        self.fault = fault
        self.route = route
        self._times = times
        self._skip = skip
        self._probability = probability
        self._where = where
        self._seed = seed
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.struck = 0
        """How often it has struck so far; a request that it found nothing to spoil about is not counted."""

    def __repr__(self) -> str:
        wanted = "every time" if self._times is None else f"{self._times} times"
        return f"<{self.fault.name} on {self.route}, {wanted}: struck {self.struck} times so far>"

    @property
    def is_spent(self) -> bool:
        """Whether it will not strike again."""
        return self._times is not None and self.struck >= self._times

    @property
    def is_waiting(self) -> bool:
        """Whether it has not struck as often as it should, or never."""
        return self.struck == 0 if self._times is None else not self.is_spent

    def strikes(self, request: Request) -> bool:
        """Decide about one request, and count it."""
        if not self._fits(request):
            return False
        with self._lock:
            if self.is_spent:
                return False
            if self._skip > 0:
                self._skip -= 1
                return False
            if not self._is_drawn(request):
                return False
            self.struck += 1
        return True

    def take_back(self) -> None:
        """Count one request less: the fault left it as it was. Draws stay as they are."""
        with self._lock:
            self.struck -= 1

    def _fits(self, request: Request) -> bool:
        return (
            fits(self.route, request.method, request.path)
            and fits_any(self.fault.reach, request.method, request.path)
            and self.fault.concerns(request)
            and (self._where is None or self._where(request))
        )

    def _is_drawn(self, request: Request) -> bool:
        if self._probability >= 1.0:
            return True
        # By what is asked and how often it was, not by a generator's state: threads may come in any order.
        # The body of an upload is left out, because the boundary of its form is random.
        asked = stable_hash(request.method, request.path, dict(request.query), request.body.decode("utf-8", "replace"))
        self._seen[asked] += 1
        return int(stable_hash(self._seed, asked, self._seen[asked])[:8], 16) < self._probability * 16**8


class Faults:
    """The rules of one backend.

    Args:
        routes: The routes that exist, such as `POST /v1/files`; a rule that fits none is an error.
        seed: Decides the draws of rules with a probability.
    """

    def __init__(self, *, routes: Sequence[str], seed: int = 0) -> None:
        self._routes = tuple(routes)
        self._seed = seed
        self._rules: list[Rule] = []
        self._added = 0
        self._lock = threading.Lock()
        self.log: list[Strike] = []
        """What has struck, in order."""

    def add(
        self,
        fault: Fault,
        *,
        route: str | None = None,
        times: int | Literal["own"] | None = "own",
        skip: int = 0,
        probability: float = 1.0,
        where: Callable[[Request], bool] | None = None,
    ) -> Rule:
        """Let a fault strike from now on; several may strike one request, the first added outermost.

        Args:
            fault: What goes wrong.
            route: `*`, a path such as `/v1/files/*` (an asterisk is one segment), or `POST /v1/files`; `None`
                takes the fault's own.
            times: How often; `None` is every time, `own` is as the fault says, which is once for most of them.
            skip: How many fitting requests go through first.
            probability: Chance that a fitting request is struck, from 0 to 1.
            where: Narrows the route down to some requests.

        Raises:
            ConfigurationError: If no route fits, the fault cannot strike there, or an argument cannot be.
        """
        _check_kinds(fault, where)
        route = fault.route if route is None else route
        times = fault.times if times == "own" else times
        self._check_route(fault, route)
        _check_numbers(fault.name, times=times, skip=skip, probability=probability)
        with self._lock:
            self._added += 1
            rule = Rule(
                fault,
                route=route,
                times=times,
                skip=skip,
                probability=probability,
                where=where,
                seed=f"{self._seed}/{self._added}",
            )
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Let nothing strike any more."""
        with self._lock:
            self._rules.clear()

    @property
    def waiting(self) -> list[Rule]:
        """Rules that have not struck as often as they should, or never."""
        with self._lock:
            return [rule for rule in self._rules if rule.is_waiting]

    def assert_all_struck(self) -> None:
        """Fail a test whose faults did not all strike as often as they should; "every time" is at least once.

        Raises:
            AssertionError: If one is still waiting, with all that are.
        """
        waiting = self.waiting
        if waiting:
            raise AssertionError(f"these faults have not struck as often as they should: {waiting}")

    def answer(self, request: Request, proceed: Handler) -> Response:
        """Answer a request the way the rules that strike it let it be answered.

        Raises:
            Refusal: If it was refused and nothing struck it.
            ConnectionLost: If a fault says so.
        """
        with self._lock:
            rules = list(self._rules)
        return self._through(rules, request, proceed)

    def _check_route(self, fault: Fault, route: str) -> None:
        if not isinstance(route, str):
            raise ConfigurationError(f"route {route!r}: not a text; write one such as 'POST /v1/files'")
        fitting = [known.split(" ", 1) for known in self._routes if fits(route, *known.split(" ", 1))]
        if not fitting:
            raise ConfigurationError(
                f"route {route!r}: the offline backend answers none like it; it answers {', '.join(self._routes)}"
            )
        if not any(fits_any(fault.reach, method, path) for method, path in fitting):
            raise ConfigurationError(
                f"{fault.name} on {route!r}: it can strike only {' or '.join(fault.reach)}; leave the route out"
            )

    def _through(self, rules: Sequence[Rule], request: Request, proceed: Handler) -> Response:
        if not rules:
            return proceed(request)
        first, rest = rules[0], rules[1:]
        if not first.strikes(request):
            return self._through(rest, request, proceed)
        return self._struck(first, request, lambda passed: self._through(rest, passed, proceed))

    def _struck(self, rule: Rule, request: Request, proceed: Handler) -> Response:
        strike = Strike(fault=rule.fault.name, method=request.method, path=request.path)
        with self._lock:
            self.log.append(strike)
        ends: list[object] = []  # what became of the very request behind the fault
        end: object = None

        def answered(passed: Request) -> Response:
            answer: Response | ConnectionLost
            try:
                answer = proceed(passed)
            except Refusal as refusal:
                # A refusal is an answer like any other: it can come late, get lost or be cut off too.
                answer = error_response(refusal.failure)
            except ConnectionLost as lost:
                answer = lost
            if passed is request:
                ends.append(answer)
            if isinstance(answer, ConnectionLost):
                raise answer
            return answer

        try:
            end = response = rule.fault.strike(request, answered)
        except ConnectionLost as lost:
            end = lost
            raise
        finally:
            if any(each is end for each in ends):
                self._take_back(rule, strike)
        return response

    def _take_back(self, rule: Rule, strike: Strike) -> None:
        rule.take_back()
        with self._lock:
            self.log[:] = [each for each in self.log if each is not strike]


def _check_kinds(fault: object, where: object) -> None:
    if not isinstance(fault, Fault):
        name = getattr(fault, "__name__", None)
        cure = f"call it: faults.add({name}(...))" if name else "pass one such as server_error()"
        raise ConfigurationError(f"faults.add({name or repr(fault)}): not a fault; {cure}")
    if where is not None and not callable(where):
        raise ConfigurationError(
            f"{fault.name} with where={where!r}: not a function of the request; mentions({where!r}) makes one"
        )


def _check_numbers(name: str, *, times: object, skip: object, probability: object) -> None:
    is_known = (
        (times is None or (type(times) is int and times > 0))
        and (type(skip) is int and skip >= 0)
        and (isinstance(probability, (int, float)) and 0.0 < probability <= 1.0)
    )
    if not is_known:
        raise ConfigurationError(
            f"{name} with times={times!r}, skip={skip!r}, probability={probability!r}: times is None or a whole number "
            "above 0, skip one not below 0, probability above 0 and at most 1"
        )


def fits_any(routes: Sequence[str], method: str, path: str) -> bool:
    """Tell whether one of several routes names a request."""
    return any(fits(route, method, path) for route in routes)


def fits(route: str, method: str, path: str) -> bool:
    """Tell whether a request, or a known route with `*` for ids, is one that a route names."""
    if route == "*":
        return True
    wanted_method, _, wanted_path = route.rpartition(" ")
    if wanted_method and wanted_method != method:
        return False
    return segments_fit(wanted_path.strip("/").split("/"), path.strip("/").split("/"))


def segments_fit(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    """Tell whether the segments of a path are those of a pattern, in which `*` stands for any one."""
    return len(pattern) == len(segments) and all(
        mark in {"*", segment} for mark, segment in zip(pattern, segments, strict=True)
    )
