"""Slicer's translations for the texts of the scene layer and the engine, which know nothing of Slicer's language."""

from __future__ import annotations

from slicer.i18n import getContext, translate

from ..engine import i18n


def install() -> None:
    """Have errors and notes from below the faces translated as the faces' own texts are: by the file they stand in.

    What other processes of the engine say comes with what it was made of, and is translated here (`engine.serving.said`).
    """
    i18n.use(lambda text, file: str(translate(getContext(file), text)))
