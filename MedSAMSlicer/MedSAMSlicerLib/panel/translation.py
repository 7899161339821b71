"""Slicer's translations for the texts of the engine and the scene layer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from slicer.i18n import getContext, translate

from ..engine.i18n import set_translator

_LIBRARY = Path(__file__).resolve().parents[1]
_FOLDERS = ("engine", "scene", "handoff", "panel/setup")
_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def install() -> None:
    """Translate the texts of the engine and the scene layer with Slicer's translations.

    Slicer stores each translation under the source file of its text. These layers do not call Slicer's ``tr``, which
    finds the calling file, so all files are searched, once for each text.
    """
    set_translator(cache(_translated))


def _translated(text: str) -> str:
    for context in _contexts():
        translated = str(translate(context, text))
        # Formatting a translation with other placeholders would fail.
        if translated != text and sorted(_PLACEHOLDER.findall(translated)) == sorted(_PLACEHOLDER.findall(text)):
            return translated
    return text


@cache
def _contexts() -> list[str]:
    files = (file for folder in _FOLDERS for file in sorted((_LIBRARY / folder).rglob("*.py")))
    return [str(getContext(str(file))) for file in files]
