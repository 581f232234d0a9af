"""Why a call is not kept, as `RecordingSummary` counts it.

Knows nothing of calls. Beside these there are the names of exceptions, and `not recordable: ` with one.
"""

from __future__ import annotations

# Failed: there is no answer to keep.
NOT_FINISHED = "not finished"
NOT_READ = "stream not read to its end"
NO_RESPONSE = "no response"
BROKE_OFF = "stream broke off"
"""The stream ended in the middle without an error, as a proxy may end it."""
EMPTY_ANSWER = "empty answer"
"""Neither a text nor a tool call nor a sound."""
NOT_EXPRESSIBLE = "not expressible in the chat format"
CANCELLED = "cancelled"

# Skipped: there is one, and it is left out.
NOT_SAMPLED = "not sampled"
NO_ROOM = "over the size limit"
NOT_WRITTEN = "not written to the file"
GOES_ON = "goes on from a stored response"
"""Its first messages are known to the service alone."""
