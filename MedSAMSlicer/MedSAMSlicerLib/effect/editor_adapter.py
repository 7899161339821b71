"""The Segment Editor in which the effect is active, as results are written through it."""

from __future__ import annotations

import slicer

from ..scene.state.modes import Mode


class EditorAdapter:
    """Edits the segment that is selected in the Segment Editor. Satisfies `scene.writing.segment_editor.SegmentEditor`.

    Args:
        scripted_effect: Slicer's half of the effect.
    """

    def __init__(self, scripted_effect: slicer.qSlicerSegmentEditorScriptedEffect) -> None:
        self._effect = scripted_effect

    @property
    def node(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        return self._effect.parameterSetNode()

    def save_state_for_undo(self) -> None:
        self._effect.saveStateForUndo()

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        # Failures are only printed: `SegmentWriter` notices that the segment is not as it should be.
        effect = slicer.qSlicerSegmentEditorAbstractEffect
        modes = {
            "add": effect.ModificationModeAdd,
            "replace": effect.ModificationModeSet,
            "remove": effect.ModificationModeRemove,
        }
        self._effect.modifySelectedSegmentByLabelmap(labelmap, modes[mode])
