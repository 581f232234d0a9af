"""Settings -> the text of a YAML file, a Python literal, or a word of a shell command.

In: values, strings among them that anybody may have chosen. Out: text in which a string stays the string it is: no
key, no code and no second command comes out of it. Knows nothing of trainers.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from llama_index_ft_rag.errors import ConfigurationError
from llama_index_ft_rag.hostile_text import one_line

_LONGEST_NAME = 500


def yaml_text(settings: Mapping[str, Any]) -> str:
    """Write settings as YAML, in their order and without those that are None."""
    import yaml  # type: ignore[import-untyped, unused-ignore]

    given = {name: value for name, value in settings.items() if value is not None}
    text: str = yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=1000)
    return text


def python_text(value: str | int | float | bool | None) -> str:
    """Write a value as Python would."""
    # Not in ASCII: JSON writes a letter beyond 16 bits as two escapes, which Python reads as two letters.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def shell_word(text: str) -> str:
    """Write a text as one word of a shell command."""
    return shlex.quote(text)


def check_model_name(name: str) -> str:
    """The name of a model as it will stand in every file.

    Raises:
        ConfigurationError: If it is empty, or more than one line of text.
    """
    if not name or name != one_line(name, limit=_LONGEST_NAME):
        raise ConfigurationError(
            f"model {one_line(name, limit=80)!r}: is no name of a model; pass it as the trainer knows it"
        )
    return name
