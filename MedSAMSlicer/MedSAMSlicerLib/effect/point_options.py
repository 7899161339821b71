"""What the options frame offers for clicks: as much as the chosen model understands."""

from __future__ import annotations

from typing import Any

from ..scene.editing.contour_editor import ContourEditor
from .texts import clicks_text


class PointOptions:
    """Shows `clicksFrame` with models that take points or masks, and in it what they take.

    Args:
        ui: has it, with `undoClickButton`, `startFromSegmentButton` and `clicksLabel`.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui

    def show(self, contouring: ContourEditor | None) -> None:
        ui = self._ui
        clicks = None if contouring is None or contouring.gone else contouring.clicks
        kinds = frozenset() if clicks is None else clicks.kinds
        ui.clicksFrame.visible = bool({"points", "mask"} & kinds)
        ui.undoClickButton.visible = "points" in kinds
        ui.undoClickButton.enabled = clicks is not None and clicks.can_undo
        ui.startFromSegmentButton.visible = "mask" in kinds
        text = "" if clicks is None or contouring is None else clicks_text(contouring)
        if ui.clicksLabel.text != text:
            ui.clicksLabel.text = text
