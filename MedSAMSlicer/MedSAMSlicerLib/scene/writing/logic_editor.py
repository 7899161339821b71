"""A segment editor without the Segment Editor module: for scripts, and for Slicer without a main window."""

from __future__ import annotations

import slicer
import vtk

from ...engine.errors import one_line
from ..state.modes import Mode
from ..volume.node_watch import check_nodes
from .segment_editor import WriteError

_Logic = slicer.vtkSlicerSegmentEditorLogic
_MODIFICATIONS = {
    "add": _Logic.ModificationModeAdd,
    "replace": _Logic.ModificationModeSet,
    "remove": _Logic.ModificationModeRemove,
}


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
