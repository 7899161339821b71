"""Opening NIfTI files whose header says two things, or axes that are not quite at right angles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.io.image_files import read_image

VOXELS = np.random.default_rng(5).integers(-1000, 1000, (6, 5, 4)).astype(np.int16)  # (i, j, k)
MATRIX = np.diag([1.0, 1.0, 2.0, 1.0])


def moved(x: float) -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[0, 3] = x
    return matrix


def sheared(by: float) -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[0, 2] = by * 2
    return matrix


def write(
    path: Path,
    sform: np.ndarray | None,
    qform: np.ndarray | None,
    *,
    codes: tuple[int, int] = (1, 1),
    voxels: np.ndarray = VOXELS,
) -> Path:
    image = nibabel.Nifti1Image(voxels, None)
    image.header.set_zooms((1.0, 1.0, 2.0, *(1.0 for _ in voxels.shape[3:])))
    image.set_sform(sform, codes[0] if sform is not None else 0)
    image.set_qform(qform, codes[1] if qform is not None else 0)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (1, 2), (4, 2)])
def test_of_two_forms_that_differ_the_one_that_slicer_takes_is_taken_and_noted(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    path = write(tmp_path / "scan.nii", moved(20), moved(0), codes=codes)
    image = read_image(path)
    assert image.origin_lps == pytest.approx(sitk.ReadImage(str(path)).GetOrigin())
    taken = "sform" if image.origin_lps[0] == pytest.approx(-20) else "qform"
    (note,) = image.notes
    assert "up to 20 mm apart" in note and f"the {taken} was taken" in note


def test_forms_that_agree_are_not_noted(tmp_path: Path) -> None:
    assert read_image(write(tmp_path / "scan.nii", moved(20), moved(20.00001))).notes == ()


def test_a_good_qform_beside_a_sheared_sform_is_taken_and_noted(tmp_path: Path) -> None:
    image = read_image(write(tmp_path / "scan.nii", sheared(0.3), moved(20)))
    np.testing.assert_allclose(image.ijk_to_ras, moved(20), atol=1e-5)
    (note,) = image.notes
    assert "the qform was taken" in note


def test_a_voxel_size_that_the_sform_contradicts_is_noted(tmp_path: Path) -> None:
    image = read_image(write(tmp_path / "scan.nii", np.diag([1, 1, 3, 1]), None))
    assert image.spacing_ijk == pytest.approx(sitk.ReadImage(str(tmp_path / "scan.nii")).GetSpacing())
    (note,) = image.notes
    assert "does not fit its voxel size" in note and "3 mm apart" in note


@pytest.mark.parametrize("by", [1e-4, 1e-3, 1e-2])
def test_a_little_shear_is_mended(tmp_path: Path, by: float) -> None:
    image = read_image(write(tmp_path / "scan.nii", sheared(by), None))
    np.testing.assert_array_equal(image.voxels, VOXELS.T)
    np.testing.assert_allclose(image.direction.T @ image.direction, np.eye(3), atol=1e-4)
    middle = [2.5, 2, 1.5, 1]
    np.testing.assert_allclose(image.ijk_to_ras @ middle, sheared(by) @ middle, atol=1e-3)
    for corner in ([0, 0, 0, 1], [5, 4, 3, 1]):
        assert np.linalg.norm(image.ijk_to_ras @ corner - sheared(by) @ corner) < 0.1
    assert len(image.notes) == (by > 1e-4) and all("sheared" in note for note in image.notes)


def test_shear_that_would_move_voxels_is_refused(tmp_path: Path, refused: Callable) -> None:
    with refused(write(tmp_path / "scan.nii", sheared(0.1), None), "sheared", "resample"):
        read_image(tmp_path / "scan.nii")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_time_point_is_read(tmp_path: Path, ending: str) -> None:
    frames = np.stack([VOXELS, VOXELS + 1, VOXELS - 1], axis=3)
    path = write(tmp_path / f"cine{ending}", MATRIX, None, voxels=frames)
    np.testing.assert_array_equal(read_image(path, frame=2).voxels, VOXELS.T - 1)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, np.int16), (0.5, 0.25, np.float32), (100, 0, np.int32)]
)
def test_stored_values_are_rescaled(tmp_path: Path, slope: float, intercept: float, dtype: type) -> None:
    path = write(tmp_path / "scan.nii", MATRIX, None)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, intercept], np.float32).tobytes()
    path.write_bytes(content)
    voxels = read_image(path).voxels
    assert voxels.dtype == dtype
    np.testing.assert_array_equal(voxels, VOXELS.T.astype(float) * slope + intercept)


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nibabel.Nifti1Image(VOXELS, MATRIX, header)
    nibabel.save(image, tmp_path / "scan.nii")
    voxels = read_image(tmp_path / "scan.nii").voxels
    assert voxels.dtype == np.int16 and voxels.dtype.isnative
    np.testing.assert_array_equal(voxels, VOXELS.T)


def test_red_green_and_blue_are_colours(tmp_path: Path) -> None:
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours = np.random.default_rng(1).integers(0, 256, (*VOXELS.shape, 3), dtype=np.uint8)
    write(tmp_path / "colour.nii", MATRIX, None, voxels=colours.view(dtype)[..., 0])
    image = read_image(tmp_path / "colour.nii")
    np.testing.assert_array_equal(image.voxels, colours.transpose(2, 1, 0, 3))
