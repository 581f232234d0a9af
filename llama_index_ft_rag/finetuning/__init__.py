"""Training: a validated file becomes a job, and the job an LLM.

`interface` is what every trainer looks like, `job` the record that makes a trainer safe to kill, `waiting`
the deadlines; `submission`, `outcome`, `client` and `openai` are the trainer for services that speak OpenAI's
API.
"""

from llama_index_ft_rag.finetuning.interface import BaseLLMFinetuneEngine, FinetuneEvent
from llama_index_ft_rag.finetuning.job import JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.openai import OpenAIFinetuneEngine

__all__ = [
    "BaseLLMFinetuneEngine",
    "FinetuneEvent",
    "JobPlan",
    "JobRecord",
    "JobStore",
    "OpenAIFinetuneEngine",
]
