"""Writes the masks of all frames as a sequence of segmentations, which follows the sequence of volumes."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from ...engine.volume.voxel_box import CroppedMask
from ..volume.frames import Frames
from ..volume.geometry import ijk_to_node, to_matrix
from .segmentation_grid import make_labelmap

_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_GEOMETRY = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()


def write_sequence(
    frames: Frames,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segment: slicer.vtkSegment,
    masks: Mapping[int, CroppedMask],
) -> slicer.vtkMRMLSegmentationNode:
    """Add a sequence of segmentations to the browser, each with one segment in the geometry of its frame.

    Args:
        frames: the frames.
        volume_node: shows the frames; its transform is that of the segmentation.
        segment: gives name and colour.
        masks: frame -> mask in the voxels of the frame. Frames without one get an empty segment.

    Returns:
        The segmentation in the scene, which shows that of the browser's frame.
    """
    scene = volume_node.GetScene()
    name = scene.GenerateUniqueName(f"{segment.GetName()} frames")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    master = frames.browser.GetMasterSequenceNode()
    sequence.SetIndexName(master.GetIndexName())
    sequence.SetIndexUnit(master.GetIndexUnit())
    sequence.SetIndexType(master.GetIndexType())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    # The frame that is shown comes last, because the segmentation keeps what was written last.
    for frame in sorted(range(frames.count), key=lambda one: one == frames.shown):
        _fill(node.GetSegmentation(), frames.volume(frame), segment, masks.get(frame))
        sequence.SetDataNodeAtValue(node, frames.index_value(frame))
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    # This adds the sequence, too.
    frames.browser.AddProxyNode(node, sequence, False)
    # Corrections of a frame are kept when another one is shown.
    frames.browser.SetSaveChanges(sequence, True)
    return node


def _fill(
    segmentation: slicer.vtkSegmentation,
    frame_node: slicer.vtkMRMLScalarVolumeNode,
    segment: slicer.vtkSegment,
    mask: CroppedMask | None,
) -> None:
    i, j, k = frame_node.GetImageData().GetDimensions()
    reference = slicer.vtkOrientedImageData()
    reference.SetImageToWorldMatrix(to_matrix(ijk_to_node(frame_node)))
    reference.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    segmentation.SetConversionParameter(_GEOMETRY, slicer.vtkSegmentationConverter.SerializeImageGeometry(reference))
    copy = slicer.vtkSegment()
    copy.SetName(segment.GetName())
    copy.SetColor(*segment.GetColor())
    if mask is not None and not mask.box.empty:
        copy.AddRepresentation(_LABELMAP, make_labelmap(reference, mask.box, mask.voxels))
    segmentation.RemoveAllSegments()
    segmentation.AddSegment(copy, "frame_object")
