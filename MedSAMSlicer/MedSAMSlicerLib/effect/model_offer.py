"""What the effect offers when the chosen model has no use for a click: a model that takes clicks alone."""

from __future__ import annotations

from typing import NamedTuple

from slicer.i18n import tr as _

from ..engine.models.catalogue import CATALOGUE, model_title
from ..scene.editing.contour_editor import ContourEditor
from .option_choices import Available

_TO_INSTALL = "mobile_sam"


class ModelOffer(NamedTuple):
    """A text for the user, and a button.

    Attributes:
        text: why the last click had no effect; empty if it had one, and then there is no button.
        button: text of the button.
        model: key of the model that the button chooses; None: it opens the module MedSAMSlicer, which installs models.
    """

    text: str = ""
    button: str = ""
    model: str | None = None


def model_offer(editor: ContourEditor, available: Available) -> ModelOffer:
    """What is offered after the last click."""
    if not editor.points.refused:
        return ModelOffer()
    chosen = model_title(editor.parameters.get("Model"))
    able = [key for key, spec in CATALOGUE.items() if "points" in spec.prompts]
    installed = next((key for key in able if key in available.models), None)
    text = _("{model} takes clicks only where there is a rectangle or a result: drag a rectangle, or use {other}.")
    title = CATALOGUE[installed or _TO_INSTALL].title
    if installed is None:
        text = _(
            "{model} takes clicks only where there is a rectangle or a result: drag a rectangle, or install {other}."
        )
    button = _("Set up") if installed is None else _("Use {model}").format(model=title)
    return ModelOffer(text.format(model=chosen, other=title), button, installed)
