"""The segment that a script's result goes to, by name: found, or created when the result is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import slicer

from ...engine.errors import InputError
from ...engine.review import SlicesToReview
from ..state.modes import Mode
from ..volume.node_watch import NodeWatch
from .segment_editor import LogicEditor
from .segment_tags import review_of, tag_provenance
from .segment_writer import SegmentWriter, Written


class SegmentTarget:
    """A segment of a segmentation, of which either may not exist yet.

    What is missing is created by `write`: a segmentation in the volume's geometry, under the volume's transforms and
    with display nodes; an empty segment of the name. If writing fails, it is removed again. Where the Segment Editor
    has the segmentation selected, its masking, editable intensity range and overwrite mode hold; elsewhere every voxel
    may be edited, and other segments give way.

    Args:
        volume_node: the volume of the results.
        segmentation_node: a segmentation of the same scene; None: a new one.
        segment_name: the first segment of that name, or a new one.
        save_for_undo: called with the segmentation before it changes, for an undo step in an editor that shows it.

    Raises:
        InputError: a node is in no scene, or the nodes are of different scenes.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
        segment_name: str,
        save_for_undo: Callable[[slicer.vtkMRMLSegmentationNode], None] = lambda _node: None,
    ) -> None:
        self._volume_node, self._segmentation_node, self._name = volume_node, segmentation_node, segment_name
        self._save_for_undo = save_for_undo
        self._watch: NodeWatch | None = None

    def watch(self, on_lost: Callable[[InputError], None]) -> None:
        """Call a method when the volume, or the segmentation or segment that exists now, leaves the scene."""
        segment_id = None if self._segmentation_node is None else self._find(self._segmentation_node)
        self._watch = NodeWatch(self._volume_node, self._segmentation_node, segment_id, on_lost)

    def unwatch(self) -> None:
        """Observe the nodes no longer."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def write(
        self, mask: np.ndarray, mode: Mode, provenance: str = "", slices_to_review: Sequence[str] = ()
    ) -> tuple[str, Written]:
        """Write a mask into the segment.

        Args:
            mask: bool (k, j, i) array in the volume's voxels.
            mode: "add", "replace" or "remove".
            provenance: where the mask comes from, see `tag_provenance`.
            slices_to_review: names of the slices that need review, see `slice_names`.

        Returns:
            ID of the segment, and what was written, without `Written.change`.

        Raises:
            InputError, WriteError: as for `SegmentWriter.write`; nothing has changed.
        """
        with self._segmentation() as segmentation_node, self._segment(segmentation_node) as segment_id:
            editor = LogicEditor(segmentation_node, segment_id, self._volume_node)
            copy_masking(segmentation_node, editor.node)
            try:
                written = SegmentWriter(segmentation_node, segment_id, editor).write(mask, self._volume_node, mode)
            finally:
                editor.close()
            before = SlicesToReview()
            if mode != "replace":
                before = review_of(segmentation_node.GetSegmentation().GetSegment(segment_id))
            to_review = before.with_written(slices_to_review, ())
            tag_provenance(segmentation_node, segment_id, provenance, to_review)
        # Callers keep what was written; the arrays of the change may be as large as the volume.
        return segment_id, replace(written, change=None)

    @contextmanager
    def _segmentation(self) -> Iterator[slicer.vtkMRMLSegmentationNode]:
        """The segmentation, created if there is none, and removed again if writing fails."""
        if self._segmentation_node is not None:
            self._save_for_undo(self._segmentation_node)
            yield self._segmentation_node
            return
        scene = self._volume_node.GetScene()
        name = scene.GenerateUniqueName("Segmentation")
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetAndObserveTransformNodeID(self._volume_node.GetTransformNodeID())
        node.SetReferenceImageGeometryParameterFromVolumeNode(self._volume_node)
        try:
            yield node
        except BaseException:
            for display_node in [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]:
                scene.RemoveNode(display_node)
            scene.RemoveNode(node)
            raise

    @contextmanager
    def _segment(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> Iterator[str]:
        """ID of the segment, created if there is none of the name, and removed again if writing fails."""
        segment_id = self._find(segmentation_node)
        if segment_id is not None:
            yield segment_id
            return
        segmentation = segmentation_node.GetSegmentation()
        segment_id = segmentation.AddEmptySegment("", self._name)
        try:
            yield segment_id
        except BaseException:
            segmentation.RemoveSegment(segment_id)
            raise

    def _find(self, segmentation_node: slicer.vtkMRMLSegmentationNode) -> str | None:
        """ID of the first segment of the name. Slicer's own search ignores case."""
        segmentation = segmentation_node.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            if segmentation.GetNthSegment(index).GetName() == self._name:
                return str(segmentation.GetNthSegmentID(index))
        return None


def copy_masking(
    segmentation_node: slicer.vtkMRMLSegmentationNode, editor_node: slicer.vtkMRMLSegmentEditorNode
) -> None:
    """Have an editor's node mask as the Segment Editor does, if that has this segmentation selected."""
    shown = segmentation_node.GetScene().GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    if shown is None or shown.GetSegmentationNode() is not segmentation_node:
        return
    editor_node.SetMaskMode(shown.GetMaskMode())
    editor_node.SetMaskSegmentID(shown.GetMaskSegmentID())
    editor_node.SetOverwriteMode(shown.GetOverwriteMode())
    if shown.GetSourceVolumeIntensityMask():
        editor_node.SetAndObserveSourceVolumeNode(shown.GetSourceVolumeNode())
        editor_node.SetSourceVolumeIntensityMask(True)
        editor_node.SetSourceVolumeIntensityMaskRange(*shown.GetSourceVolumeIntensityMaskRange())
