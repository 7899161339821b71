"""Writes masks into a segment as edits of a segment editor: masked, in one undo step, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import slicer

from ...engine.diagnostics.log import get_logger
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.volume.voxel_box import CroppedMask, VoxelBox
from ..state.modes import MODES, Mode
from ..volume.geometry import label
from ..volume.node_watch import check_nodes
from .segment_editor import SegmentEditor, WriteError
from .segmentation_grid import SegmentVoxels, make_labelmap, place_mask, reference_geometry

_log = get_logger(__name__)
_NOTHING = CroppedMask(VoxelBox((0, 0, 0), (0, 0, 0)), np.zeros((0, 0, 0), bool))
_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_GEOMETRY = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()


@dataclass(frozen=True, eq=False)
class SegmentChange:
    """What a write has changed in its segment.

    Attributes:
        segment: reads the segment as it is now.
        box: holds every voxel that may have changed.
        mask: the mask that was written, as a bool (k, j, i) array of the box.
        before, after: the segment before and after the write, likewise.
    """

    segment: SegmentVoxels
    box: VoxelBox
    mask: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Written:
    """What has become of a mask. Counts of voxels are those of the segmentation's geometry, except `voxels_outside`.

    Attributes:
        voxels: voxels of the mask that the segment holds now; in mode "remove", those that it has lost.
        voxels_masked: voxels that masking has kept as they were, although the mask asked for a change.
        voxels_outside: voxels of the mask, in the volume, that lie outside the segmentation's geometry and are lost.
        change: what has changed; None if there was nothing to do, or if the segment was resampled to the reference
            geometry first.
        slices_kept: slices that were left as the user had edited them.
        edits_replaced: voxels that the user had edited on an earlier object, which the mask has replaced.
    """

    voxels: int
    voxels_masked: int
    voxels_outside: int
    change: SegmentChange | None = field(default=None, repr=False, compare=False)
    slices_kept: int = 0
    edits_replaced: int = 0


@dataclass(frozen=True)
class _Edit:
    """What a write is to change.

    Attributes:
        mask: the mask, in the segmentation's reference geometry.
        stale: voxels to remove from the segment before the mask is added.
        mode: how the mask changes the segment.
    """

    mask: CroppedMask
    stale: CroppedMask
    mode: Mode

    def box(self, segment: SegmentVoxels) -> VoxelBox:
        """A box around every voxel that may change."""
        box = self.mask.box.union(self.stale.box)
        content = segment.bounding_box() if self.mode == "replace" else None
        return box if content is None else box.union(content)

    def unmasked(self, box: VoxelBox, before: np.ndarray) -> np.ndarray:
        """What the segment becomes in a box where masking allows every change; `before` is what it was there."""
        mask = self.mask.inside(box)
        if self.mode == "add":
            return (before & ~self.stale.inside(box)) | mask
        return mask if self.mode == "replace" else before & ~mask


class SegmentWriter:
    """Writes into one segment through a segment editor.

    Mask mode, mask segment, editable intensity range and overwrite mode are those of the editor's node at the time of
    the write. Only the part of the segmentation that can change is handed to the editor.

    Args:
        segmentation_node, segment_id: the segment.
        editor: an editor that has this segment selected.
    """

    def __init__(
        self, segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str, editor: SegmentEditor
    ) -> None:
        self._segmentation_node, self._segment_id, self._editor = segmentation_node, segment_id, editor

    def write(
        self,
        mask: np.ndarray,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        mode: Mode = "add",
        replaced: CroppedMask | None = None,
    ) -> Written:
        """Write a mask into the segment, in exactly one undo step, or in none if there is nothing to do.

        Where masking forbids editing, the segment stays as it is, in every mode. The overwrite mode decides what other
        segments lose. The mask's voxels outside the segmentation's geometry are lost, and are counted.

        Args:
            mask: bool (k, j, i) array in the volume's voxels.
            volume_node: the mask's volume. Its geometry and transforms may differ from those of the segmentation.
            mode: "add" the mask to the segment, "replace" the segment by the mask, or "remove" the mask from it.
            replaced: voxels of the segmentation's reference geometry; in mode "add", those that are not in the mask
                are removed from the segment in the same undo step.

        Raises:
            InputError: a node or the segment is gone or not selected in the editor, masking or geometry cannot be used,
                or masking keeps every voxel that was to change, in which case an undo step was taken that changes
                nothing; nothing was changed.
            WriteError: the editor failed; the segmentation was restored. There is nothing to redo, and the undo step
                that was taken changes nothing. Any other exception of the editor is passed on likewise.
        """
        if mode not in MODES:
            raise InputError(_("mode {mode!r} is unknown: choose add, replace or remove").format(mode=mode))
        self._check(volume_node)
        reference = reference_geometry(self._segmentation_node, volume_node)
        placed, voxels_outside = place_mask(
            np.asarray(mask, dtype=bool), volume_node, self._segmentation_node, reference
        )
        stale = _NOTHING if replaced is None or mode != "add" else replaced.without(placed)
        edit = _Edit(placed, stale, mode)
        segment = SegmentVoxels(self._segmentation_node, self._segment_id, reference)
        if segment.on_grid and edit.box(segment).empty:
            return Written(0, 0, voxels_outside)
        with self._named_geometry(reference, volume_node), self._restored_on_failure():
            self._editor.save_state_for_undo()
            resampled = self._resample(segment, reference)
            box = edit.box(segment)
            before = self._read(segment, box)
            self._modify(edit, box, reference, before)
            change = SegmentChange(segment, box, edit.mask.inside(box), before, self._read(segment, box))
            masked = int(np.count_nonzero(change.after != edit.unmasked(box, before)))
            if masked and not self._masks:
                raise WriteError(self._segmentation_node, _("{count} voxels were not written").format(count=masked))
            if masked and (change.after == before).all():
                text = _(
                    "masking keeps all {count} voxels that would change: nothing was written. Change the settings "
                    "under Masking"
                )
                raise InputError(text.format(count=masked))
        written = change.mask & (change.after if mode != "remove" else before & ~change.after)
        voxels = int(np.count_nonzero(written))
        text = "result written: %d voxels, %d kept as they were by masking, %d outside of the segmentation"
        _log.info(text, voxels, masked, voxels_outside)
        return Written(voxels, masked, voxels_outside, None if resampled else change)

    def _resample(self, segment: SegmentVoxels, reference: slicer.vtkOrientedImageData) -> bool:
        """Have the editor bring the segment to the reference geometry. False if it is stored there already."""
        if segment.on_grid:
            return False
        # Adding nothing does it. Without it "replace" would take the indices of the old content for those of the mask,
        # and the segment before the write could not be compared with the segment after it.
        first = VoxelBox(VoxelBox.from_extent(reference.GetExtent()).first, (1, 1, 1))
        self._editor.modify(make_labelmap(reference, first), "add")
        return True

    def _modify(self, edit: _Edit, box: VoxelBox, reference: slicer.vtkOrientedImageData, before: np.ndarray) -> None:
        mask, stale = edit.mask, edit.stale
        if not stale.box.empty:
            self._editor.modify(make_labelmap(reference, stale.box, stale.voxels), "remove")
        if edit.mode == "replace" and before.any():
            # Editors evaluate masking only inside the labelmap, so it has to cover the old content too.
            self._editor.modify(make_labelmap(reference, box, mask.inside(box)), "replace")
        elif not mask.box.empty:
            # Editors cannot replace an empty segment, which has no geometry: the mask is added to it.
            mode: Mode = "remove" if edit.mode == "remove" else "add"
            self._editor.modify(make_labelmap(reference, mask.box, mask.voxels), mode)

    def _read(self, segment: SegmentVoxels, box: VoxelBox) -> np.ndarray:
        voxels = segment.read(box)
        if voxels is None:
            raise WriteError(self._segmentation_node, _("the segment has no labelmap in the reference geometry"))
        return voxels

    @property
    def _masks(self) -> bool:
        """Whether the editor is set to keep voxels as they are."""
        node, everywhere = self._editor.node, slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
        if node is None:
            return False
        return bool(node.GetMaskMode() != everywhere or node.GetSourceVolumeIntensityMask())

    @property
    def _segmentation(self) -> slicer.vtkSegmentation:
        return self._segmentation_node.GetSegmentation()

    # Checks before anything changes: editors report none of this, they write nothing.

    def _check(self, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
        check_nodes(volume_node, self._segmentation_node, self._segment_id)
        name, node = label(self._segmentation_node), self._editor.node
        if node is None or node.GetSegmentationNode() is not self._segmentation_node:
            raise InputError(_("{name} is no longer selected in the Segment Editor: select it").format(name=name))
        if node.GetSelectedSegmentID() != self._segment_id:
            raise InputError(
                _("segment '{segment}' is not selected in the Segment Editor: select it").format(
                    segment=self._segmentation.GetSegment(self._segment_id).GetName()
                )
            )
        source = self._segmentation.GetSourceRepresentationName()
        if source != _LABELMAP:
            raise InputError(
                _(
                    "{name} is stored as {source}: make Binary labelmap its source (Segmentations, Representations)"
                ).format(name=name, source=source)
            )
        if node.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment:
            inside = node.GetMaskSegmentID()
            if not inside or self._segmentation.GetSegment(inside) is None:
                raise InputError(_("the segment to edit inside of is missing: choose it under Masking"))
        if node.GetSourceVolumeIntensityMask():
            source_volume = node.GetSourceVolumeNode()
            if source_volume is None or source_volume.GetImageData() is None:
                raise InputError(
                    _("the editable intensity range has no source volume: choose one, or switch the range off")
                )

    # All or nothing

    @contextmanager
    def _named_geometry(
        self, reference: slicer.vtkOrientedImageData, volume_node: slicer.vtkMRMLScalarVolumeNode
    ) -> Iterator[None]:
        """Store the reference geometry in a segmentation that has none, as Segment Editor does, unless the write fails."""
        if self._segmentation.GetConversionParameter(_GEOMETRY):
            yield
            return
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        volume_before = self._segmentation_node.GetNodeReferenceID(role)
        text = slicer.vtkSegmentationConverter.SerializeImageGeometry(reference)
        self._segmentation.SetConversionParameter(_GEOMETRY, text)
        self._segmentation_node.SetNodeReferenceID(role, volume_node.GetID())
        try:
            yield
        except BaseException:
            self._segmentation.SetConversionParameter(_GEOMETRY, "")
            self._segmentation_node.SetNodeReferenceID(role, volume_before)
            raise

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        # A history of its own: the editor's may be switched off, and would offer the half-written state for redo.
        history = slicer.vtkSegmentationHistory()
        history.SetSegmentation(self._segmentation)
        history.SaveState()
        try:
            yield
        except BaseException:
            # The history restores only what it was told has changed; the failed step may not have got that far.
            self._segmentation.GetSegment(self._segment_id).Modified()
            history.RestorePreviousState()
            # As after Undo: views redraw.
            event = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
            self._segmentation_node.InvokeCustomModifiedEvent(event)
            raise
        finally:
            history.SetSegmentation(None)
