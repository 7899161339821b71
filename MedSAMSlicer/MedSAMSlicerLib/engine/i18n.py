"""Texts for users, from below the faces: a face that knows the user's language puts a translator in.

Used as Slicer's own `_()`, so that Slicer's scripts find what is to be translated. Without a translator, as on the
command line and in the inference process, texts stay as they are, but know what they were made of: `said` sends that
along, and the face at the other end says it in its user's language.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Translator = Callable[[str, str], str]
"""Gets a text and the path of the file that it stands in; returns the text in the user's language."""

_PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")
_PACKAGE = Path(__file__).resolve().parents[1]
_translators: list[Translator] = []


class Text(str):
    """A text that nobody has translated yet.

    Attributes:
        template: as it stands in the source.
        file: where it stands: path in the package, with slashes.
        values: what it was formatted with; None before.
    """

    template: str = ""
    file: str = ""
    values: Mapping[str, object] | None = None

    def format(self, *positional: Any, **values: Any) -> str:
        """As of any text. What was put in by name is known afterwards."""
        formatted = super().format(*positional, **values)
        return formatted if positional else _text(formatted, self.template, self.file, values)


def use(translator: Translator | None) -> None:
    """Have texts translated from now on; None: no longer."""
    _translators[:] = [] if translator is None else [translator]


def tr(text: str) -> str:
    """`text`, a literal, in the user's language. To be formatted afterwards: ``_("slice {index}").format(index=3)``."""
    file = sys._getframe(1).f_code.co_filename
    if not _translators:
        return _text(text, text, _inside(file), None)
    return _translated(text, file) or text


def translated(template: str, file: str) -> str | None:
    """What a text of a file of the package (see `Text`) is in the user's language; None if there is no translation."""
    found = _translated(template, str(_PACKAGE / file)) if _translators else None
    return None if found == template else found


def _translated(text: str, file: str) -> str | None:
    found = _translators[0](text, file)
    # A translation with other names in braces would fail when it is formatted.
    return found if sorted(_PLACEHOLDER.findall(text)) == sorted(_PLACEHOLDER.findall(found)) else None


def _text(text: str, template: str, file: str, values: Mapping[str, object] | None) -> Text:
    made = Text(text)
    made.template, made.file, made.values = template, file, values
    return made


def _inside(file: str) -> str:
    path = Path(file)
    return path.relative_to(_PACKAGE).as_posix() if path.is_relative_to(_PACKAGE) else path.name
