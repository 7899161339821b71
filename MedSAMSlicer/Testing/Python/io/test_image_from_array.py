"""Images of numpy arrays: the same geometry as nibabel and SimpleITK give them, no copy, and clear refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.image import Image, grid_difference

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def test_an_affine_is_that_of_nibabel(oblique_image: Image) -> None:
    image = Image.from_array(oblique_image.voxels, affine=oblique_image.ijk_to_ras, modality="MR", name="scan")
    assert grid_difference(image, oblique_image) is None
    np.testing.assert_allclose(image.ijk_to_ras, oblique_image.ijk_to_ras)
    assert (image.modality, str(image.path)) == ("MR", "scan")


def test_with_a_spacing_alone_it_lies_where_simpleitk_puts_it() -> None:
    image = Image.from_array(VOXELS, spacing=(0.5, 0.75, 3.0))
    other = sitk.GetImageFromArray(VOXELS)
    other.SetSpacing((0.5, 0.75, 3.0))
    for index in ((0, 0, 0), (4, 3, 2)):
        at = (image.ijk_to_lps @ [*index, 1])[:3]
        np.testing.assert_allclose(at, other.TransformIndexToPhysicalPoint(index))


def test_the_array_is_shared_and_cannot_be_changed_through_the_image() -> None:
    voxels = VOXELS.copy()
    image = Image.from_array(voxels, spacing=(1, 1, 1))
    assert np.shares_memory(image.voxels, voxels) and voxels.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        image.voxels[0] = 0


@pytest.mark.parametrize(
    ("voxels", "geometry", "words"),
    [
        (VOXELS[0], {"spacing": (1, 1, 1)}, r"\(4, 5\): give whole or floating-point numbers"),
        (VOXELS > 3, {"spacing": (1, 1, 1)}, "bool"),
        (VOXELS.astype(complex), {"spacing": (1, 1, 1)}, "complex"),
        (VOXELS[:0], {"spacing": (1, 1, 1)}, "give whole"),
        (VOXELS, {}, "either its affine or its spacing"),
        (VOXELS, {"spacing": (1, 1, 1), "affine": np.eye(4)}, "either its affine or its spacing"),
        (VOXELS, {"spacing": (1, 1, 0)}, "above 0"),
        (VOXELS, {"spacing": (1, 1)}, "three values"),
        (VOXELS, {"affine": np.eye(3)}, r"a \(4, 4\) affine"),
        (VOXELS, {"affine": np.diag([1, 1, 0, 1])}, "an inverse"),
        (VOXELS, {"affine": np.diag([1, 1, np.nan, 1])}, "an inverse"),
        (VOXELS, {"affine": np.eye(4) + np.eye(4, k=1)}, "sheared axes"),
        (VOXELS * 0, {"spacing": (1, 1, 1)}, "constant"),
    ],
)
def test_what_is_no_scalar_volume_is_refused(voxels: np.ndarray, geometry: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        Image.from_array(voxels, name="scan", **geometry)
    assert "scan" in str(refused.value)
