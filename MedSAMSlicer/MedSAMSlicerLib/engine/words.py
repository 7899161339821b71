"""Texts for users, from below the faces: a face that knows the user's language puts a translator in.

Used as Slicer's own `_()`, so that Slicer's scripts find what is to be translated. Without a translator, as on the
command line and in the inference process, texts stay as they are: what that process says reaches users in English.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

Translator = Callable[[str, str], str]
"""Gets a text and the path of the file that it stands in; returns the text in the user's language."""

_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
_translators: list[Translator] = []


def use(translator: Translator | None) -> None:
    """Have texts translated from now on; None: no longer."""
    _translators[:] = [] if translator is None else [translator]


def tr(text: str) -> str:
    """`text`, a literal, in the user's language. To be formatted afterwards: ``_("slice {index}").format(index=3)``."""
    if not _translators:
        return text
    translated = _translators[0](text, sys._getframe(1).f_code.co_filename)
    # A translation with other names in braces would fail when it is formatted.
    same = sorted(_PLACEHOLDER.findall(text)) == sorted(_PLACEHOLDER.findall(translated))
    return translated if same else text
