"""Texts for users on their way between processes: in English, and with what they were made of.

The process that says something knows no language but English. What arrives is the finished English text and, beside it,
its template, the file of the template, and the values; a face finds the template's translation and fills it in. Whoever
knows nothing of that reads the English text.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import i18n
from ..i18n import Text

_MOST_BYTES = 8192
"""Of what a text was made of. What is longer than that is read in English."""


def text_of(error: BaseException) -> str:
    """The text of an error, with what it was made of if that is known."""
    return error.args[0] if error.args and isinstance(error.args[0], Text) else str(error)


def made_of(text: str) -> dict[str, Any] | None:
    """What a text was made of, as JSON takes it; None if it is not known."""
    if not isinstance(text, Text):
        return None
    parts: dict[str, Any] = {"template": text.template, "file": text.file}
    if text.values is not None:
        parts["values"] = {name: _value(value) for name, value in text.values.items()}
    try:
        return parts if len(json.dumps(parts, allow_nan=False)) <= _MOST_BYTES else None
    except ValueError:
        return None  # not a number: JSON has no word for it


def heard(text: str, parts: object) -> str:
    """A text from another process in the user's language; as it came, if that cannot be had.

    Args:
        text: in English.
        parts: what `made_of` gave for it; anything else, where nobody knows better.
    """
    if not (isinstance(parts, dict) and isinstance(parts.get("template"), str) and isinstance(parts.get("file"), str)):
        return text
    template, values = i18n.translated(parts["template"], parts["file"]), parts.get("values")
    if template is None or values is None:
        return template or text
    try:
        return template.format(**{name: _heard_value(value) for name, value in values.items()})
    except (AttributeError, LookupError, TypeError, ValueError):
        return text  # the values do not fit the template


def _value(value: object) -> object:
    """A number or a text as it is, so that it can be formatted again; anything else as it is written."""
    if isinstance(value, Text):
        return {"text": str(value), "made_of": made_of(value)}
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _heard_value(value: object) -> object:
    return heard(str(value["text"]), value.get("made_of")) if isinstance(value, dict) else value
