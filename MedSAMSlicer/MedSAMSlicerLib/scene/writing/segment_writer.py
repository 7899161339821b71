"""Writes a result into a segment through Segment Editor's own rules, in one undo step or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from ...engine.errors import InputError, MedSAMError
from ...engine.i18n import tr as _
from ..state.modes import Mode
from ..volume.geometry import label
from .modifier_labelmap import Modifier, make_modifier, reference_geometry

_Logic = slicer.vtkSlicerSegmentEditorLogic
_MODIFICATIONS = {
    "add": _Logic.ModificationModeAdd,
    "replace": _Logic.ModificationModeSet,
    "remove": _Logic.ModificationModeRemove,
}
_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_GEOMETRY = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()


class WriteError(MedSAMError):
    """Segment Editor refused the result half-way. The segmentation is as it was."""


@dataclass(frozen=True)
class Written:
    """What became of a result.

    Attributes:
        voxels: voxels of the segmentation's geometry that the result covers, before masking.
        voxels_outside: voxels of the result that lie outside the segmentation's geometry and were left out.
    """

    voxels: int
    voxels_outside: int


class SegmentWriter:
    """Writes into one segmentation as a Segment Editor would.

    Mask mode, mask segment, overwrite mode and editable intensity range are those of the editor node at the moment of
    writing. Undo and redo are those of the logic.

    Args:
        logic: with an editor node that has the segmentation selected.

    Raises:
        InputError: no segmentation is selected.
    """

    def __init__(self, logic: slicer.vtkSlicerSegmentEditorLogic) -> None:
        if logic.GetSegmentationNode() is None:
            raise InputError(_("no segmentation is selected: choose one in the Segment Editor"))
        self.logic = logic
        self.segmentation_node = logic.GetSegmentationNode()

    @classmethod
    def for_nodes(
        cls, segmentation_node: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLScalarVolumeNode
    ) -> SegmentWriter:
        """A writer with an editor node of its own, which is not saved with the scene, in Segment Editor's defaults.

        Outside Slicer's application a vtkSlicerSegmentationsModuleLogic must have been given the scene before.

        Raises:
            InputError: one of the nodes is in no scene.
        """
        _check_in_scene(segmentation_node, _("no segmentation is selected: choose one"))
        _check_in_scene(volume_node, _("no volume is selected: choose one"))
        scene = segmentation_node.GetScene()
        editor_node = slicer.vtkMRMLSegmentEditorNode()
        editor_node.SetSaveWithScene(False)
        scene.AddNode(editor_node)
        editor_node.SetAndObserveSegmentationNode(segmentation_node)
        editor_node.SetAndObserveSourceVolumeNode(volume_node)
        logic = slicer.vtkSlicerSegmentEditorLogic()
        logic.SetMRMLScene(scene)
        logic.SetSegmentEditorNode(editor_node)
        return cls(logic)

    def write(
        self,
        mask: np.ndarray,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segment_id: str,
        mode: Mode = "add",
    ) -> Written:
        """Put `mask` into the segment. Takes exactly one undo step, unless the mask is empty and there is nothing to do.

        Where masking forbids editing, the segment stays as it is, also under "replace". What other segments lose is
        decided by the overwrite mode. Voxels of the result outside the segmentation's geometry are left out and counted.

        Args:
            mask: bool (k, j, i) in the volume's voxels.
            volume_node: volume that the mask belongs to; it may differ in geometry and transform from the segmentation.
            mode: "add" the mask to the segment, "replace" the segment by it, or "remove" it from the segment.

        Raises:
            InputError: a node or the segment is gone, masking or geometry cannot be used; nothing was changed.
            WriteError: Segment Editor failed half-way; the segmentation was put back as it was. There is nothing to
                redo then, and the undo step that was taken changes nothing.
        """
        if mode not in _MODIFICATIONS:
            raise InputError(_("mode {mode!r} is unknown: choose add, replace or remove").format(mode=mode))
        self._check_nodes(volume_node, segment_id)
        reference = reference_geometry(self.segmentation_node, volume_node)
        modifier = make_modifier(np.asarray(mask, dtype=bool), volume_node, self.segmentation_node, reference)
        if modifier.voxels == 0 and mode != "replace":
            return Written(0, modifier.voxels_outside)

        with self._selected(segment_id), self._named_geometry(reference, volume_node):
            self._check_masking()
            with self._all_or_nothing(segment_id):
                self.logic.SaveStateForUndo()
                self._apply(modifier, segment_id, mode)
        return Written(modifier.voxels, modifier.voxels_outside)

    def _apply(self, modifier: Modifier, segment_id: str, mode: Mode) -> None:
        segment = self._segmentation.GetSegment(segment_id)
        labelmap = segment.GetRepresentation(_LABELMAP)
        if mode == "replace" and not slicer.vtkOrientedImageDataResample.DoGeometriesMatch(labelmap, modifier.labelmap):
            # Segment Editor takes the old content to have the modifier's voxels; adding nothing gives it those.
            nothing = slicer.vtkOrientedImageData()
            nothing.DeepCopy(modifier.labelmap)
            nothing.GetPointData().GetScalars().Fill(0)
            self._modify(nothing, segment_id, "add")
        self._modify(modifier.labelmap, segment_id, mode)

    def _modify(self, labelmap: slicer.vtkOrientedImageData, segment_id: str, mode: Mode) -> None:
        # The logic returns nothing; what goes wrong it says as error events, and only when verbose.
        errors: list[str] = []

        @vtk.calldata_type(vtk.VTK_STRING)
        def note(_caller: vtk.vtkObject, _event: str, text: str) -> None:
            # That a scene has no subject hierarchy items is no matter to the segment.
            if "Subject hierarchy" not in text:
                errors.append(" ".join(text.split()))

        verbose = self.logic.GetVerbose()
        observer = self.logic.AddObserver(vtk.vtkCommand.ErrorEvent, note)
        self.logic.SetVerbose(True)
        try:
            self.logic.ModifySegmentByLabelmap(
                self.segmentation_node, segment_id, labelmap, _MODIFICATIONS[mode], True, False
            )
        finally:
            self.logic.SetVerbose(verbose)
            self.logic.RemoveObserver(observer)
        if errors:
            raise WriteError(
                _("{segmentation_node} could not be changed and is as it was: {errors}").format(
                    segmentation_node=label(self.segmentation_node), errors=errors[0]
                )
            )

    @property
    def _segmentation(self) -> slicer.vtkSegmentation:
        return self.segmentation_node.GetSegmentation()

    def _check_nodes(self, volume_node: slicer.vtkMRMLScalarVolumeNode, segment_id: str) -> None:
        _check_in_scene(volume_node, _("no volume is selected: choose one"))
        _check_in_scene(self.segmentation_node, _("no segmentation is selected: choose one"))
        name = label(self.segmentation_node)
        if self.logic.GetSegmentationNode() is not self.segmentation_node:
            raise InputError(
                _("{name} is no longer selected in the Segment Editor: select it and run again").format(name=name)
            )
        if self._segmentation is None or self._segmentation.GetSegment(segment_id) is None:
            raise InputError(
                _("segment '{segment_id}' of {name} was deleted: choose another and run again").format(
                    segment_id=segment_id, name=name
                )
            )
        source = self._segmentation.GetSourceRepresentationName()
        if source != _LABELMAP:
            raise InputError(
                _(
                    "{name} is stored as {source}: make Binary labelmap its source (Segmentations, Representations)"
                ).format(name=name, source=source)
            )

    def _check_masking(self) -> None:
        """What would make the logic give up without changing anything."""
        editor_node = self.logic.GetSegmentEditorNode()
        if editor_node.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment:
            inside = editor_node.GetMaskSegmentID()
            if not inside or self._segmentation.GetSegment(inside) is None:
                raise InputError(_("the segment to edit inside of is missing: choose it under Masking"))
        everywhere = slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
        if editor_node.GetMaskMode() != everywhere and not self.logic.UpdateMaskLabelmap():
            raise InputError(_("the editable area cannot be made: choose another one under Masking"))
        if editor_node.GetSourceVolumeIntensityMask() and not self.logic.UpdateAlignedSourceVolume():
            raise InputError(
                _("the editable intensity range has no source volume: choose one, or switch the range off")
            )

    @contextmanager
    def _named_geometry(
        self, reference: slicer.vtkOrientedImageData, volume_node: slicer.vtkMRMLScalarVolumeNode
    ) -> Iterator[None]:
        """Give a segmentation without geometry one, as Segment Editor does; take it back if the write fails."""
        if self._segmentation.GetConversionParameter(_GEOMETRY):
            yield
            return
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        volume_before = self.segmentation_node.GetNodeReferenceID(role)
        text = slicer.vtkSegmentationConverter.SerializeImageGeometry(reference)
        self._segmentation.SetConversionParameter(_GEOMETRY, text)
        self.segmentation_node.SetNodeReferenceID(role, volume_node.GetID())
        try:
            yield
        except BaseException:
            self._segmentation.SetConversionParameter(_GEOMETRY, "")
            self.segmentation_node.SetNodeReferenceID(role, volume_before)
            raise

    @contextmanager
    def _selected(self, segment_id: str) -> Iterator[None]:
        """Masking leaves out the selected segment, so the one that is written to has to be selected meanwhile."""
        editor_node = self.logic.GetSegmentEditorNode()
        before = editor_node.GetSelectedSegmentID()
        editor_node.SetSelectedSegmentID(segment_id)
        try:
            yield
        finally:
            editor_node.SetSelectedSegmentID(before)

    @contextmanager
    def _all_or_nothing(self, segment_id: str) -> Iterator[None]:
        # A history of our own: the logic's may be switched off, and would offer the half-written state as a redo.
        history = slicer.vtkSegmentationHistory()
        history.SetSegmentation(self._segmentation)
        history.SaveState()
        try:
            yield
        except BaseException:
            # Tells the history that something changed, even where the failed step had not come to say so.
            self._segmentation.GetSegment(segment_id).Modified()
            history.RestorePreviousState()
            raise
        finally:
            history.SetSegmentation(None)


def _check_in_scene(node: slicer.vtkMRMLNode | None, missing: str) -> None:
    """Raises InputError: `missing` if there is no node."""
    if node is None:
        raise InputError(missing)
    if node.GetScene() is None or not node.GetScene().IsNodePresent(node):
        raise InputError(_("{node} was deleted: choose another and run again").format(node=label(node)))
