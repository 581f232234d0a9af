"""Every error this package raises, as one tree.

Knows nothing of the other modules. Each message names the thing, the value and the next step; what a program
may want to look at is also an attribute.

    FtRagError
    ├── ConfigurationError (ValueError)      an argument, option or environment variable is wrong or missing
    ├── MissingExtraError (ImportError)      an optional package is not installed
    ├── DocumentError (ValueError)           a document cannot be read
    ├── QuestionError (ValueError)           questions cannot be read or made
    ├── EngineError (ValueError)             what was passed as engine or factory cannot be used
    ├── EmptyRecordingError (ValueError)     nothing was recorded, and why
    ├── ExamplesError (ValueError)           a training file cannot be read or was refused by validation
    ├── RunFolderError                       the run folder is not writable, in use, or holds another run
    ├── ScoringError (ValueError)            a dataset or metric cannot be scored
    │   └── UnusableReplyError               a model answered something else than what it was asked for
    ├── OfflineBackendError                  the offline backend's state cannot be used
    └── FinetuneError (ValueError)           something about a fine-tuning job
        ├── PreflightError                   something known beforehand forbids the job (nothing was sent)
        ├── FileNotAcceptedError             the service refused or never processed the training file
        ├── TrainingNotAvailableError        the organisation may not create jobs (nothing was charged)
        ├── JobNotStartedError               no job was created yet
        ├── JobNotReadyError                 the job is still under way, or its model is not loaded yet
        ├── JobFailedError                   the job ended as failed
        ├── JobCancelledError                the job was cancelled
        └── WaitTimeoutError (TimeoutError)  the deadline passed; the job goes on
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


class FtRagError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(FtRagError, ValueError):
    """An argument, an option or an environment variable is wrong or missing."""


class MissingExtraError(FtRagError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, part: str, *, extra: str, missing: str) -> None:
        self.part = part
        self.extra = extra
        self.missing = missing
        super().__init__(f'{part} needs {missing}: pip install "llama-index-ft-rag[{extra}]"')


class DocumentError(FtRagError, ValueError):
    """A document is missing, empty, unreadable or encrypted."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class QuestionError(FtRagError, ValueError):
    """Questions cannot be read from a file or generated from documents."""


class EngineError(FtRagError, ValueError):
    """What was passed as engine or engine factory cannot be used."""


class EmptyRecordingError(FtRagError, ValueError):
    """No LLM call was recorded; the message says why and what to do."""


class ExamplesError(FtRagError, ValueError):
    """A training file cannot be read, or validation refused it."""


class RunFolderError(FtRagError):
    """The run folder is not writable, in use by another process, or holds another run."""


class ScoringError(FtRagError, ValueError):
    """A dataset or a metric cannot be scored."""


class UnusableReplyError(ScoringError):
    """A model answered, but its reply is not what it was asked for."""


class OfflineBackendError(FtRagError):
    """The offline backend's state folder cannot be used."""


class FinetuneError(FtRagError, ValueError):
    """Root of everything that can go wrong with a fine-tuning job.

    Attributes:
        job_id: Id of the job, where there is one.
        status: The job's last known status, where there is one.
    """

    def __init__(self, message: str, *, job_id: str | None = None, status: str | None = None) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(message)


class PreflightError(FinetuneError):
    """Something that is known before anything is sent forbids the job: its price, its model, the organisation.

    Attributes:
        reasons: Each of them in a sentence.
    """

    def __init__(self, message: str, *, reasons: Sequence[str] = ()) -> None:
        self.reasons = tuple(reasons)
        super().__init__(message)


class FileNotAcceptedError(FinetuneError):
    """The service refused the training file or did not process it in time.

    Attributes:
        file_id: Id of the uploaded file, so that it is not uploaded again.
        lines: Numbers of the lines that the service found fault with, where it names any.
    """

    def __init__(self, message: str, *, file_id: str | None = None, lines: Sequence[int] = ()) -> None:
        self.file_id = file_id
        self.lines = tuple(lines)
        super().__init__(message)


class TrainingNotAvailableError(FinetuneError):
    """The service no longer lets this organisation create fine-tuning jobs; nothing was trained or charged.

    Attributes:
        file_id: Id of the uploaded file.
    """

    def __init__(self, message: str, *, file_id: str | None = None) -> None:
        self.file_id = file_id
        super().__init__(message)


class JobNotStartedError(FinetuneError):
    """`finetune()` was not called yet."""


class JobNotReadyError(FinetuneError):
    """The job is still under way and has no tuned model yet, or the service has not loaded that model yet.

    Attributes:
        estimated_finish: When the service expects the job to be finished, where it says so.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        estimated_finish: datetime | None = None,
    ) -> None:
        self.estimated_finish = estimated_finish
        super().__init__(message, job_id=job_id, status=status)


class JobFailedError(FinetuneError):
    """The job ended as failed.

    Attributes:
        code: The service's error code, such as `invalid_training_file`.
        param: What the service says is at fault, such as `training_file`.
        lines: Numbers of the lines that the service found fault with, where it names any.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        status: str | None = "failed",
        code: str | None = None,
        param: str | None = None,
        lines: Sequence[int] = (),
    ) -> None:
        self.code = code
        self.param = param
        self.lines = tuple(lines)
        super().__init__(message, job_id=job_id, status=status)


class JobCancelledError(FinetuneError):
    """The job was cancelled and will never have a tuned model."""


class WaitTimeoutError(FinetuneError, TimeoutError):
    """The deadline of a wait passed. The job goes on; wait again or come back later."""
