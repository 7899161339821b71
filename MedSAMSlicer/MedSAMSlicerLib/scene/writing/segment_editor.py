"""Editors through which segments are changed: what a writer needs of them, and one that works without Slicer's widget."""

from __future__ import annotations

from typing import Protocol

import slicer
import vtk

from ...engine.errors import MedSAMError, one_line
from ...engine.i18n import tr as _
from ..state.modes import Mode
from ..volume.geometry import label
from ..volume.node_watch import check_nodes

_Logic = slicer.vtkSlicerSegmentEditorLogic
_MODIFICATIONS = {
    "add": _Logic.ModificationModeAdd,
    "replace": _Logic.ModificationModeSet,
    "remove": _Logic.ModificationModeRemove,
}


class WriteError(MedSAMError):
    """The segment editor failed while it wrote a result. The segmentation is as it was before.

    Args:
        segmentation_node: the segmentation.
        reason: what the editor reports, in one line.
    """

    def __init__(self, segmentation_node: slicer.vtkMRMLSegmentationNode, reason: str) -> None:
        text = _("{segmentation_node} could not be changed and is as it was: {reason}")
        super().__init__(text.format(segmentation_node=label(segmentation_node), reason=reason))


class SegmentEditor(Protocol):
    """A Segment Editor as `SegmentWriter` uses it.

    There are two: `EditorAdapter` edits as the effect that is active in the Segment Editor, `LogicEditor` works where
    the Segment Editor is not open.
    """

    @property
    def node(self) -> slicer.vtkMRMLSegmentEditorNode | None:
        """Names the selected segmentation and segment, the masking, and the overwrite mode; None if there is none."""
        ...

    def save_state_for_undo(self) -> None:
        """Make the segmentation as it is now the state that the editor's Undo returns to."""
        ...

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        """Change the selected segment, where masking allows it, and the other segments by the overwrite mode.

        Args:
            labelmap: 1 where the segment is to change, else 0, over any part of the reference geometry. The mode
                "replace" clears the segment also outside of it.

        Raises:
            WriteError: the editor reports a failure. The segmentation may be left half changed.
        """
        ...


class LogicEditor:
    """Edits one segment through a vtkSlicerSegmentEditorLogic. Satisfies `SegmentEditor`.

    It has an editor node of its own with the Segment Editor's defaults: every voxel may be edited, and other segments
    give way. To mask, change `node`. The node is in the scene until `close`, and is not saved with it.

    Outside Slicer's application, give a vtkSlicerSegmentationsModuleLogic the scene first.

    Args:
        segmentation_node, segment_id: the segment to edit.
        volume_node: its intensities decide where `node` limits editing to a range of them.

    Attributes:
        logic: its `Undo` and `Redo` take back what was written through this editor, and restore it.

    Raises:
        InputError: a node is None or in no scene, or the segment does not exist.
    """

    def __init__(
        self,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
    ) -> None:
        check_nodes(volume_node, segmentation_node, segment_id)
        scene = segmentation_node.GetScene()
        self._node = slicer.vtkMRMLSegmentEditorNode()
        self._node.SetSaveWithScene(False)
        scene.AddNode(self._node)
        self._node.SetAndObserveSegmentationNode(segmentation_node)
        self._node.SetAndObserveSourceVolumeNode(volume_node)
        self._node.SetSelectedSegmentID(segment_id)
        self.logic = _Logic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(self._node)
        # It returns nothing; failures are error events, and only if it is verbose.
        self.logic.SetVerbose(True)

    @property
    def node(self) -> slicer.vtkMRMLSegmentEditorNode:
        return self._node

    def save_state_for_undo(self) -> None:
        self.logic.SaveStateForUndo()

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        errors: list[str] = []

        @vtk.calldata_type(vtk.VTK_STRING)
        def on_error(_caller: vtk.vtkObject, _event: str, text: str) -> None:
            # Scenes without subject hierarchy items are complained about after the segment was written.
            if "Subject hierarchy" not in text:
                errors.append(one_line(text))

        segmentation_node = self._node.GetSegmentationNode()
        observer = self.logic.AddObserver(vtk.vtkCommand.ErrorEvent, on_error)
        try:
            self.logic.ModifySegmentByLabelmap(
                segmentation_node,
                self._node.GetSelectedSegmentID(),
                labelmap,
                _MODIFICATIONS[mode],
                True,  # isPerSegment
                False,  # bypassMasking
            )
        finally:
            self.logic.RemoveObserver(observer)
        if errors:
            raise WriteError(segmentation_node, errors[0])

    def close(self) -> None:
        """Remove the editor node from the scene. Undo of what was written is lost."""
        self.logic.SetSegmentEditorNode(None)
        if self._node.GetScene() is not None:
            self._node.GetScene().RemoveNode(self._node)
