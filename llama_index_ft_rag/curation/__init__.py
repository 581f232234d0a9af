"""Recorded examples in, those worth training on out, and the others with every reason.

Modules in their order: `prompt_parts` and `drafts` (what stands in a prompt), `prompt_leaks`, `rules` (one example),
`showing`, `outcome` (what a user holds), `lines` (any file), `near_duplicates`, `beside_others` (an example beside the
others), `arguments`, `curate`, `scores`. Then what may follow, each useful alone: `near_pairs`, `ties`, `leaks`,
`splitting`; `passage_pool`, `raft_candidates`, `distractors`; `preferences`, `asking`, `judging`; `personal_data`,
`masking`, `masked_curation`; at last `describing` and `folder`.
"""

from llama_index_ft_rag.abstention import is_abstention
from llama_index_ft_rag.curation.arguments import UserRule
from llama_index_ft_rag.curation.asking import Replies, aanswer_prompts, answer_prompts
from llama_index_ft_rag.curation.curate import TAUGHT_KINDS, curate
from llama_index_ft_rag.curation.describing import CuratedData
from llama_index_ft_rag.curation.distractors import RaftRows, add_distractors
from llama_index_ft_rag.curation.folder import dropped_rows, write_curation
from llama_index_ft_rag.curation.judging import (
    ajudge_abstentions,
    ajudge_preferences,
    judge_abstentions,
    judge_preferences,
)
from llama_index_ft_rag.curation.leaks import Leak, LeakReport, find_leaks
from llama_index_ft_rag.curation.lines import ReadLines, read_lines
from llama_index_ft_rag.curation.masked_curation import MaskedCuration, mask_curation, mask_leaks
from llama_index_ft_rag.curation.masking import (
    MaskedExamples,
    mask_pii,
    read_originals,
    unmask_examples,
    unmask_text,
    write_originals,
)
from llama_index_ft_rag.curation.outcome import RULES, Curation, Dropped, Reason, UnreadableLine
from llama_index_ft_rag.curation.preferences import (
    PreferencePair,
    Preferences,
    answers_from,
    prefer_by_score,
    preference_pairs,
    read_pairs,
    write_pairs,
)
from llama_index_ft_rag.curation.prompt_parts import PromptParts, read_prompt
from llama_index_ft_rag.curation.scores import read_example_scores, write_example_scores
from llama_index_ft_rag.curation.splitting import Split, split_examples
from llama_index_ft_rag.curation.ties import TIES, Tie

__all__ = [
    "RULES",
    "TAUGHT_KINDS",
    "TIES",
    "CuratedData",
    "Curation",
    "Dropped",
    "Leak",
    "LeakReport",
    "MaskedCuration",
    "MaskedExamples",
    "PreferencePair",
    "Preferences",
    "PromptParts",
    "RaftRows",
    "ReadLines",
    "Reason",
    "Replies",
    "Split",
    "Tie",
    "UnreadableLine",
    "UserRule",
    "aanswer_prompts",
    "add_distractors",
    "ajudge_abstentions",
    "ajudge_preferences",
    "answer_prompts",
    "answers_from",
    "curate",
    "dropped_rows",
    "find_leaks",
    "is_abstention",
    "judge_abstentions",
    "judge_preferences",
    "mask_curation",
    "mask_leaks",
    "mask_pii",
    "prefer_by_score",
    "preference_pairs",
    "read_example_scores",
    "read_lines",
    "read_originals",
    "read_pairs",
    "read_prompt",
    "split_examples",
    "unmask_examples",
    "unmask_text",
    "write_curation",
    "write_example_scores",
    "write_originals",
    "write_pairs",
]
