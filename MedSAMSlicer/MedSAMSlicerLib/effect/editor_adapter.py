"""The Segment Editor as `apply_result` writes through it."""

from __future__ import annotations

import slicer

from ..scene.state.modes import Mode


class SegmentEditor:
    """Satisfies `scene.writing.result_writer.Editor`.

    Args:
        scripted_effect: Slicer's half of the effect.
    """

    def __init__(self, scripted_effect: slicer.qSlicerSegmentEditorScriptedEffect) -> None:
        self._effect = scripted_effect

    def reference(self) -> slicer.vtkOrientedImageData | None:
        return self._effect.defaultModifierLabelmap()

    def selected(self) -> slicer.vtkOrientedImageData | None:
        return self._effect.selectedSegmentLabelmap()

    def save_for_undo(self) -> None:
        self._effect.saveStateForUndo()

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        effect = slicer.qSlicerSegmentEditorAbstractEffect
        modes = {
            "add": effect.ModificationModeAdd,
            "replace": effect.ModificationModeSet,
            "remove": effect.ModificationModeRemove,
        }
        self._effect.modifySelectedSegmentByLabelmap(labelmap, modes[mode])
