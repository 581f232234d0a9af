"""Recorded examples -> those worth training on, and those dropped with every reason of each.

In: `TrainingExample`s. Out: `Curation`, in the order given; nothing is changed and nothing vanishes. Each example is
judged by itself first, then beside the others. Knows nothing of files or jobs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

from llama_index_ft_rag.abstention import is_abstention
from llama_index_ft_rag.catalog import model_facts
from llama_index_ft_rag.curation import rules as single
from llama_index_ft_rag.curation.arguments import (
    SWITCHES,
    UserRule,
    check_examples,
    check_names,
    check_number,
    known_scores,
    user_rules,
)
from llama_index_ft_rag.curation.beside_others import Judged, judge_beside_others
from llama_index_ft_rag.curation.drafts import Draft, DraftFinder
from llama_index_ft_rag.curation.lines import ReadLines
from llama_index_ft_rag.curation.near_duplicates import is_installed
from llama_index_ft_rag.curation.outcome import Curation, Dropped, Reason
from llama_index_ft_rag.curation.prompt_parts import PromptParts, read_prompt
from llama_index_ft_rag.curation.rules import Candidate, Rule
from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.examples import CallKind, TrainingExample
from llama_index_ft_rag.training_format import check_example

TAUGHT_KINDS: tuple[CallKind, ...] = ("answer", "refine", "tree_step")
"""The calls that make an answer; selectors, condensers and the like are not what a student is taught."""
NEAR_DUPLICATES = 0.9
FEWEST_CONTEXTS = 50
"""Fewer distinct contexts get a notice: OpenAI's guide (2026-05) says to begin with 50 examples, and examples about the
same passage teach the same thing."""


def curate(
    examples: Iterable[TrainingExample] | ReadLines,
    *,
    keep_abstentions: float = 0.0,
    seed: int = 0,
    near_duplicates: float | Literal["auto"] | None = "auto",
    student: str | None = None,
    max_tokens: int | None = None,
    scores: Mapping[str, float | None] | None = None,
    min_score: float | None = None,
    worse_by: float = 0.0,
    max_per_context: int | None = None,
    kinds: Collection[CallKind] | None = TAUGHT_KINDS,
    abstentions: Mapping[str, bool] | None = None,
    rules: Iterable[UserRule] = (),
    without: Collection[str] = (),
    templates: Iterable[str] = (),
) -> Curation:
    """Part the examples worth training on from the others.

    What was kept comes out whole when it is curated again with the same arguments; only where more than a hundred
    examples are alike, a second look may find one more near duplicate.

    Args:
        examples: Examples, or a file as `read_lines` gives it; their order is kept. The draft of a refine step is
            looked for among those before it.
        keep_abstentions: Which share of what is kept may be abstentions with no other fault, from 0 to 1, so that the
            student learns to decline too; 0.05 keeps one beside 19 others.
        seed: Decides which abstentions; the same examples and seed give the same choice in any order.
        near_duplicates: Jaccard similarity of word 3-grams from which two examples say nearly the same. By default
            0.9 where the extra `curation` is installed, and where it is not a notice says that nobody looked;
            `None` looks for none.
        student: The model to be trained; an example longer than it takes is dropped.
        max_tokens: Tokens an example may have, instead of what is known of the student.
        scores: By content hash, such as the judge's faithfulness; an example without a score is not judged by it.
        min_score: What scores lower is dropped.
        worse_by: By how much a refine step must score lower than its draft to be dropped.
        max_per_context: How many examples may have the same context; all by default.
        kinds: What the student is taught; `None` for all calls. A call of an unknown kind passes.
        abstentions: By content hash, what a judge said of it; patterns decide on the others.
        rules: Of the caller's own, called with each example.
        without: Names of rules in `RULES` that are not applied.
        templates: The caller's own prompts, with `{context_str}`, `{query_str}` and `{existing_answer}`, so that
            their parts are found in recorded prompts.

    Raises:
        ConfigurationError: If an argument is none of what it should be.
        MissingExtraError: If `near_duplicates` is a number and datasketch is not installed.
        FtRagError: If a rule of the caller's fails on an example.
    """
    read = examples if isinstance(examples, ReadLines) else _as_read(examples)
    given = read.examples
    shapes, off = check_names("templates", templates), check_names("without", without, known=SWITCHES)
    kinds = None if kinds is None else check_names("kinds", kinds, known=get_args(CallKind))
    check_number("keep_abstentions", keep_abstentions, least=0, most=1)
    check_number("worse_by", worse_by, least=0)
    for name, value in (("max_tokens", max_tokens), ("max_per_context", max_per_context)):
        check_number(name, value, least=1, whole=True, or_none=True)
    check_number("min_score", min_score, or_none=True)
    if min_score is not None and scores is None:
        raise ConfigurationError(f"min_score is {min_score!r} and there are no scores; pass scores, too")
    threshold = _threshold(near_duplicates if "near_duplicate" not in off else None)
    applied = [
        *_single_rules(kinds, worse_by, min_score, student, max_tokens),
        *user_rules(rules),
    ]
    judge = _Judge(
        [rule for rule in applied if rule.name not in off],
        scores=known_scores(scores or {}),
        abstentions=abstentions or {},
        templates=shapes,
    )
    judged = [judge.judge(example, number) for example, number in zip(given, read.numbers, strict=True)]
    if min_score is not None and judge.unscored:
        judge.notices.append(f"{judge.unscored:,} of {len(given):,} examples have no score, and were not judged by it")
    reasons = judge_beside_others(
        given,
        judged,
        near_duplicates=threshold,
        exact="duplicate" not in off,
        max_per_context=max_per_context if "crowded_context" not in off else None,
        templates=shapes,
    )
    if near_duplicates == "auto" and threshold is None and "near_duplicate" not in off:
        judge.notices.append('near duplicates were not looked for: pip install "llama-index-ft-rag[curation]"')
    if student is not None and max_tokens is None and model_facts(student).max_example_tokens is None:
        judge.notices.append(f"no length limit is known of {student}, and none was applied; pass max_tokens")
    pardoned = _pardoned(judged, reasons, share=keep_abstentions, seed=seed)
    return _part(read, reasons, pardoned, [*read.notices, *_notices(judge, judged, reasons, pardoned)])


def _threshold(near_duplicates: float | Literal["auto"] | None) -> float | None:
    if near_duplicates != "auto":
        check_number("near_duplicates", near_duplicates, or_none=True)
        return near_duplicates
    return NEAR_DUPLICATES if is_installed() else None


def _as_read(examples: Iterable[TrainingExample]) -> ReadLines:
    given = check_examples(examples)
    return ReadLines(examples=given, numbers=list(range(1, len(given) + 1)))


def _part(
    read: ReadLines, reasons: Sequence[tuple[Reason, ...]], pardoned: Collection[int], notices: Sequence[str]
) -> Curation:
    kept, dropped = [], []
    for place, found in enumerate(reasons):
        if not found or place in pardoned:
            kept.append(place)
        else:
            number = read.numbers[place]
            other = read.other.get(number, {})
            dropped.append(Dropped(example=read.examples[place], reasons=found, number=number, other=other))
    return Curation(
        kept=[read.examples[place] for place in kept],
        kept_numbers=[read.numbers[place] for place in kept],
        dropped=dropped,
        unreadable=read.unreadable,
        kept_abstentions=len(pardoned),
        notices=tuple(notices),
    )


class _Judge:
    """Judges one example after another by the rules that look at nothing else."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        scores: Mapping[str, float],
        abstentions: Mapping[str, bool],
        templates: tuple[str, ...],
    ) -> None:
        self.unscored = 0
        self.unread_refines = 0
        self.notices: list[str] = []
        self._rules = rules
        self._scores = scores
        self._abstentions = abstentions
        self._templates = templates
        self._drafts = DraftFinder()
        self._best: dict[tuple[str | None, str], float] = {}

    def judge(self, example: TrainingExample, number: int) -> Judged:
        content_hash = example.content_hash
        parts = read_prompt(example.messages, templates=self._templates)
        drafts = self._drafts.find(example, parts)
        candidate = self._candidate(example, content_hash, parts, drafts)
        self._remember(example, candidate.score)
        self.unscored += candidate.score is None
        self.unread_refines += example.kind == "refine" and not drafts
        reasons = []
        for rule in self._rules:
            text = rule.check(candidate)
            if text:
                reasons.append(Reason(rule=rule.name, text=text))
        return Judged(
            content_hash=content_hash, number=number, reasons=tuple(reasons), context=_context_of(example, parts)
        )

    def _candidate(
        self, example: TrainingExample, content_hash: str, parts: PromptParts | None, drafts: tuple[Draft, ...]
    ) -> Candidate:
        last = example.messages[-1] if example.messages else {}
        answer = example.answer if last.get("role") == "assistant" else ""
        said = self._abstentions.get(content_hash)
        return Candidate(
            example=example,
            content_hash=content_hash,
            answer=answer,
            declines=is_abstention(answer) if said is None else said,
            is_judged=said is not None,
            problems=check_example(example.to_line()),
            parts=parts,
            drafts=drafts,
            score=self._scores.get(content_hash),
            draft_score=self._best_score(example, drafts),
        )

    def _best_score(self, example: TrainingExample, drafts: tuple[Draft, ...]) -> float | None:
        """The best that was scored by an earlier example of the same query whose answer is a draft."""
        known = (self._best.get((example.query_id, draft.text)) for draft in drafts)
        return max((score for score in known if score is not None), default=None)

    def _remember(self, example: TrainingExample, score: float | None) -> None:
        key = (example.query_id, example.answer.strip())
        if score is not None and score > self._best.get(key, -math.inf):
            self._best[key] = score


def _single_rules(
    kinds: Collection[CallKind] | None,
    worse_by: float,
    min_score: float | None,
    student: str | None,
    max_tokens: int | None,
) -> list[Rule]:
    """Those of `RULES` that look at one example, in that order, as far as they have something to go by."""
    limit = max_tokens if max_tokens is not None else model_facts(student or "").max_example_tokens
    checks: dict[str, single.Check | None] = {
        "not_taught": partial(single.not_taught, kinds=frozenset(kinds)) if kinds is not None else None,
        "not_trainable": single.not_trainable,
        "special_token": single.special_token,
        "empty_answer": single.empty_answer,
        "cut_off": single.cut_off,
        "abstention": single.abstention,
        "repeated_draft": single.repeated_draft,
        "made_worse": partial(single.made_worse, by=worse_by),
        "prompt_leak": single.prompt_leak,
        "too_long": partial(single.too_long, model=student or "", limit=limit) if limit is not None else None,
        "low_score": partial(single.low_score, minimum=min_score) if min_score is not None else None,
    }
    return [Rule(name=name, check=check) for name, check in checks.items() if check is not None]


def _context_of(example: TrainingExample, parts: PromptParts | None) -> Hashable | None:
    """A key of the passages an example is about: those in its prompt, else those retrieved for its query."""
    if parts is not None:
        return parts.context_key
    return tuple(sorted(example.node_ids)) or None


def _pardoned(judged: Sequence[Judged], reasons: Sequence[tuple[Reason, ...]], *, share: float, seed: int) -> set[int]:
    """Indexes of the abstentions that are kept on purpose: at most `share` of all that is kept."""
    candidates = [index for index, found in enumerate(reasons) if [reason.rule for reason in found] == ["abstention"]]
    good = sum(1 for found in reasons if not found)
    wanted = len(candidates) if share == 1.0 else int(share * good / (1.0 - share) + 1e-9)
    candidates.sort(key=lambda index: hashlib.sha256(f"{seed}:{judged[index].content_hash}".encode()).digest())
    return set(candidates[:wanted])


def _notices(
    judge: _Judge, judged: Sequence[Judged], reasons: Sequence[tuple[Reason, ...]], pardoned: Collection[int]
) -> list[str]:
    kept = [one for index, one in enumerate(judged) if not reasons[index] or index in pardoned]
    contexts = {one.context for one in kept if one.context is not None}
    notices = list(judge.notices)
    if contexts and len(contexts) < FEWEST_CONTEXTS:
        notices.append(
            f"few contexts: {len(contexts)} distinct ones among the examples kept; with fewer than "
            f"{FEWEST_CONTEXTS} the student may learn them by heart instead of the job"
        )
    if judge.unread_refines:
        notices.append(
            f"{judge.unread_refines:,} refine steps have a prompt made by no known template, and their drafts were "
            "not found; pass your prompts as templates"
        )
    return notices
