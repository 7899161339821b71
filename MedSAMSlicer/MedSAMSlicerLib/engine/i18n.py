"""Translation of texts for users in the engine and the scene layer, which know nothing of Slicer.

`tr` is imported as ``_``, the name that Slicer's translation tools look for. Slicer's main process sets a translator;
the command line and the inference process have none, so that their texts, and the messages that the inference process
sends, are English.
"""

from __future__ import annotations

from collections.abc import Callable

Translator = Callable[[str], str]

_translator: Translator | None = None


def set_translator(translator: Translator | None) -> None:
    """Set the function that translates all texts from now on; None restores English."""
    global _translator
    _translator = translator


def tr(text: str) -> str:
    """Translate a text. Format it afterwards: ``_("slice {index}").format(index=3)``.

    Args:
        text: a literal, so that translation tools find it.
    """
    return text if _translator is None else _translator(text)
