"""The same 3D box gives the same voxels in the effect, the module's logic and the command line, with real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from host.application import Host

pytest.importorskip("torch", reason="the engine needs torch")
SHAPE = (12, 48, 64)
BOX = ((20, 43), (10, 33), (6, 7))
WINDOW = "soft-tissue"


@pytest.fixture
def volume(host: Host) -> Any:
    """A CT of an ellipsoid in noise, in an oblique geometry."""
    k, j, i = np.indices(SHAPE)
    inside = ((k - 6) * 3.0 / 12) ** 2 + ((j - 21) / 9) ** 2 + ((i - 31) / 11) ** 2 <= 1
    noise = np.random.default_rng(3).normal(0, 25, SHAPE)
    node = slicer.util.addVolumeFromArray((np.where(inside, 60, -60) + noise).astype(np.int16), name="CT")
    voxels = slicer.util.arrayFromVolume(node)
    voxels[0, 0, 0] = -1000
    slicer.util.arrayFromVolumeModified(node)
    node.SetSpacing(1.0, 1.0, 3.0)
    node.SetOrigin(-30, 12, 5)
    node.SetIJKToRASDirections(-0.8, 0.6, 0, -0.6, -0.8, 0, 0, 0, 1)
    return node


def roi_around(volume: Any) -> Any:
    """An ROI along the volume's axes, around the outer faces of the voxels of `BOX`."""
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(volume))
    low, high = np.array(BOX, float).T + [[-0.5], [0.5]]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    object_to_node = np.eye(4)
    object_to_node[:3, :3] = matrix[:3, :3] / spacing
    object_to_node[:3, 3] = (matrix @ [*((low + high) / 2), 1])[:3]
    if np.linalg.det(object_to_node[:3, :3]) < 0:
        object_to_node[:3, 0] *= -1
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(object_to_node))
    node.SetSize(*((high - low) * spacing))
    return node


def _ijk_to_ras(volume: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def by_effect(host: Host, volume: Any, roi: Any) -> np.ndarray:
    host.show(volume)
    segmentation = host.edit(volume, "tumour")
    effect = host.editor.effectByName("MedSAM").self()
    host.editor.setActiveEffectByName("MedSAM")
    for name, value in (("Window", WINDOW), ("EncodeAhead", "0")):
        effect.scriptedEffect.setParameter(name, value)
    effect.contouring.parameters.set_reference("ROI", roi)
    effect.runInROI()
    host.wait_until(lambda: not effect.contouring.running, 120)
    assert effect.contouring.problem is None
    effect.apply()
    return np.asarray(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "tumour", volume)) > 0


def by_logic(volume: Any, **prompt: Any) -> np.ndarray:
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.util.getModuleLogic("MedSAMSlicer")
    segment_id = logic.segment(volume, segmentationNode=segmentation, window=WINDOW, **prompt)
    return np.asarray(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)) > 0


def by_command_line(volume: Any, folder: Path) -> np.ndarray:
    import SimpleITK as sitk

    from MedSAMSlicerLib.cli.main import main

    assert slicer.util.saveNode(volume, str(folder / "ct.nrrd"))
    box = [str(index) for pair in BOX for index in pair]
    output = folder / "tumour.nrrd"
    runtime = ["--device", "cpu", "--runtime", "torch"]
    options = ["--output", str(output), "--box", *box, "--window", WINDOW, *runtime, "--quiet"]
    assert main(["segment", str(folder / "ct.nrrd"), *options]) in (0, None)
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(output)))) > 0


def test_effect_logic_and_command_line_agree_to_the_voxel(
    host: Host, volume: Any, repository: Path, litemedsam_weights: Path, tmp_path: Path
) -> None:
    from MedSAMSlicerLib.panel import settings

    host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
    host.complete_startup()
    settings.set_device("cpu", "torch")
    roi = roi_around(volume)
    effect = by_effect(host, volume, roi)
    found = np.argwhere(effect)
    assert found.size and (found.min(axis=0) >= [6, 10, 20]).all() and (found.max(axis=0) <= [7, 33, 43]).all()
    assert effect.sum() > 200
    np.testing.assert_array_equal(by_logic(volume, roiNode=roi), effect)
    np.testing.assert_array_equal(by_logic(volume, box=BOX), effect)
    np.testing.assert_array_equal(by_command_line(volume, tmp_path), effect)


def picture() -> np.ndarray:
    """(1, rows, columns, 3) uint8: a red polyp on a mucosa of about the same brightness."""
    rows, columns = np.indices((96, 128))
    inside = ((rows - 50) / 17) ** 2 + ((columns - 62) / 22) ** 2 <= 1
    noise = np.random.default_rng(3).normal(0, 6, (96, 128, 3))
    return np.clip(np.where(inside[..., None], (210, 60, 60), (120, 120, 90)) + noise, 0, 255).astype(np.uint8)[None]


def test_a_colour_picture_has_the_same_mask_in_slicer_and_without(
    host: Host, repository: Path, litemedsam_weights: Path
) -> None:
    import MedSAMSlicerLib.api as medsam
    from MedSAMSlicerLib.panel import settings

    host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
    host.complete_startup()
    settings.set_device("cpu", "torch")
    colours = picture()
    image = medsam.Image.from_array(colours, spacing=(1, 1, 1))
    rectangle = {0: (36, 30, 88, 70)}
    alone = medsam.segment(image, key_slices=rectangle, device="cpu", runtime="torch").mask
    assert 900 < alone.sum() < 1500
    # With transparency, as Slicer loads many pictures.
    colours = np.concatenate([colours, np.full_like(colours[..., :1], 77)], axis=-1)
    volume = slicer.util.addVolumeFromArray(colours, name="polyp", nodeClassName="vtkMRMLVectorVolumeNode")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.util.getModuleLogic("MedSAMSlicer")
    segment_id = logic.segment(volume, segmentationNode=segmentation, keySlices=rectangle)
    written = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(np.asarray(written) > 0, alone)
    with pytest.raises(medsam.MedSAMError, match="a colour image has no window"):
        logic.segment(volume, segmentationNode=segmentation, keySlices=rectangle, window="lung")
