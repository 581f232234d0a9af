"""The recorder's lines in the log.

In: what the recorder has to say. Out: a line in the log, and never an exception, whatever handlers an app has
installed. Knows nothing of the recorder.
"""

from __future__ import annotations

import contextlib
import logging


def say(logger: logging.Logger, level: int, message: str, *values: object) -> None:
    """Log a line; a handler of the app's that raises is the app's own affair, and not to be met here."""
    with contextlib.suppress(Exception):  # there is nobody left to tell
        logger.log(level, message, *values)
