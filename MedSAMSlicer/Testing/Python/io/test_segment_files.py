"""Segmentation files with several segments: as Slicer saves them, and labelmaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.segment_files import read_segment_file
from MedSAMSlicerLib.io.segmentations import write_segmentation

ONE, TWO = np.zeros((5, 6, 7), bool), np.zeros((5, 6, 7), bool)
ONE[1:3, 2:5, 1:4] = True
TWO[2:4, 3:5, 3:6] = True  # overlaps


def saved_by_slicer(path: Path, image: Image, masks: dict[str, np.ndarray]) -> None:
    """Slicer's own storage node crops the file to the segments and puts overlapping ones on several layers."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(image.ijk_to_ras.ravel().tolist())
    for name, mask in masks.items():
        labelmap = slicer.vtkOrientedImageData()
        labelmap.SetImageToWorldMatrix(matrix)
        labelmap.SetDimensions(mask.shape[::-1])
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = mask.ravel()
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(0.25, 0.5, 1)
        segment.SetTag("Key", f"value: {name}")
        segment.AddRepresentation("Binary labelmap", labelmap)
        node.GetSegmentation().AddSegment(segment, name)
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(node)


def on_image(mask: np.ndarray, file: Image, image: Image) -> np.ndarray:
    """The file's voxels on the grid of the image."""
    start = np.linalg.inv(image.ijk_to_lps) @ [*file.origin_lps, 1]
    i, j, k = np.rint(start[:3]).astype(int)
    np.testing.assert_allclose(start[:3], [i, j, k], atol=1e-4)
    whole = np.zeros(image.voxels.shape, bool)
    whole[k : k + mask.shape[0], j : j + mask.shape[1], i : i + mask.shape[2]] = mask
    return whole


@pytest.mark.parametrize("masks", [{"A": ONE}, {"A": ONE, "B": TWO}], ids=["one layer", "two layers"])
def test_segments_that_slicer_has_saved(oblique_image: Image, tmp_path: Path, masks: dict[str, np.ndarray]) -> None:
    path = tmp_path / "slicer.seg.nrrd"
    saved_by_slicer(path, oblique_image, masks)
    file, segments = read_segment_file(path)
    assert [segment.name for segment in segments] == list(masks)
    for segment in segments:
        np.testing.assert_array_equal(on_image(segment.mask, file, oblique_image), masks[segment.name])
        assert segment.colour == pytest.approx((0.25, 0.5, 1))
        assert segment.tags["Key"] == f"value: {segment.name}"


def test_tags_that_are_written_are_read_by_slicer(oblique_image: Image, tmp_path: Path) -> None:
    path = tmp_path / "tumour.seg.nrrd"
    write_segmentation(
        path, ONE, oblique_image, "GTV", (1, 0, 0), {"MedSAMSlicer.Provenance": "model a: box, 3 slices"}
    )
    import slicer
    import vtk

    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    text = vtk.reference("")
    assert node.GetSegmentation().GetNthSegment(0).GetTag("MedSAMSlicer.Provenance", text)
    assert str(text) == "model a: box, 3 slices"


def test_each_value_of_a_labelmap_is_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray((ONE * 3 + TWO * 4).astype(np.int16)), str(path))
    _file, segments = read_segment_file(path)
    assert [segment.name for segment in segments] == ["Label_3", "Label_4", "Label_7"]
    np.testing.assert_array_equal(segments[2].mask, ONE & TWO)
    sitk.WriteImage(sitk.GetImageFromArray(ONE.astype(np.uint8)), str(tmp_path / "Liver.nii.gz"))
    assert [segment.name for segment in read_segment_file(tmp_path / "Liver.nii.gz")[1]] == ["Liver"]


def test_what_is_no_segmentation_is_refused(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(np.random.default_rng(0).normal(0, 9, (4, 5, 6))), str(path))
    with refused(path, "is an image"):
        read_segment_file(path)
    damaged = tmp_path / "damaged.seg.nrrd"
    damaged.write_bytes(b"NRRD0004\ntype: uchar\n")
    with refused(damaged, "cannot be read"):
        read_segment_file(damaged)
