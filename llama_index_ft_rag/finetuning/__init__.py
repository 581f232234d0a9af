"""Training: a validated file becomes a job, and the job an LLM.

`interface` is what every trainer looks like. A conversation with a service is written once (`talk`) and held with or
without `await`: `submission` brings files and job there exactly once (`settings`, `job`, the record that makes that
safe to kill, `listing`, `waiting`), `lifecycle` watches the job (`outcome`, `curves`), `training` is both. `client`
makes LLMs that ask where the model was trained (`async_door`), `openai` and `async_twins` are what users call.
"""

from llama_index_ft_rag.finetuning.curves import Checkpoint, TrainingProgress, read_progress
from llama_index_ft_rag.finetuning.interface import BaseLLMFinetuneEngine, FinetuneEvent
from llama_index_ft_rag.finetuning.job import JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.openai import OpenAIFinetuneEngine

__all__ = [
    "BaseLLMFinetuneEngine",
    "Checkpoint",
    "FinetuneEvent",
    "JobPlan",
    "JobRecord",
    "JobStore",
    "OpenAIFinetuneEngine",
    "TrainingProgress",
    "read_progress",
]
