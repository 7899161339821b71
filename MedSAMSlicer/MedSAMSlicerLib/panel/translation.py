"""Slicer's translations for the texts of the engine and the scene layer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from slicer.i18n import getContext, translate

from ..engine.i18n import set_translator

_LIBRARY = Path(__file__).resolve().parents[1]
_FOLDERS = ("engine", "scene", "panel/setup")
_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def install() -> None:
    """Translate the texts of the engine and the scene layer from now on.

    Slicer stores each translation under the source file of its text. Only Slicer's own ``tr`` finds out which file calls
    it, so all files are searched, once for each text.
    """
    set_translator(cache(_translated))


def _translated(text: str) -> str:
    for context in _contexts():
        found = str(translate(context, text))
        # A translation with other placeholders would fail when it is formatted.
        if found != text and sorted(_PLACEHOLDER.findall(found)) == sorted(_PLACEHOLDER.findall(text)):
            return found
    return text


@cache
def _contexts() -> list[str]:
    files = (file for folder in _FOLDERS for file in sorted((_LIBRARY / folder).rglob("*.py")))
    return [str(getContext(str(file))) for file in files]
