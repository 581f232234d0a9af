"""Training: a validated file becomes a job, and the job an LLM.

`interface` is what every trainer looks like. A conversation with a service is written once (`talk`) and held with or
without `await`: `submission` brings files and job there exactly once (`settings`, `job`, the record that makes that
safe to kill, `listing`, `waiting`), `lifecycle` watches the job (`outcome`, `curves`), `preflight` says beforehand
whether there should be one (`local_checks`, `service_checks`), `training` is all three. `client` makes LLMs that ask
where the model was trained (`async_door`); `openai`, `async_twins` and `azure` (with `azure_service`,
`azure_deployment` and `azure_deploying`) are what users call.
"""

from llama_index_ft_rag.finetuning.azure import AzureOpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.azure_deployment import AzureDeployment
from llama_index_ft_rag.finetuning.curves import Checkpoint, TrainingProgress, read_progress
from llama_index_ft_rag.finetuning.interface import BaseLLMFinetuneEngine, FinetuneEvent
from llama_index_ft_rag.finetuning.job import JobPlan, JobRecord, JobStore
from llama_index_ft_rag.finetuning.openai import OpenAIFinetuneEngine
from llama_index_ft_rag.finetuning.preflight import Check, Preflight
from llama_index_ft_rag.finetuning.service_checks import ask_service

__all__ = [
    "AzureDeployment",
    "AzureOpenAIFinetuneEngine",
    "BaseLLMFinetuneEngine",
    "Check",
    "Checkpoint",
    "FinetuneEvent",
    "JobPlan",
    "JobRecord",
    "JobStore",
    "OpenAIFinetuneEngine",
    "Preflight",
    "TrainingProgress",
    "ask_service",
    "read_progress",
]
