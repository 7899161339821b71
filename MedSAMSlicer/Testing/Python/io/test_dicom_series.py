"""Opening a folder with a DICOM series, and being told why it cannot be used."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.io.image import grid_difference
from MedSAMSlicerLib.io.image_files import read_image


def add_axial(series: Any, stored: np.ndarray, at: list[float], x: float = -10, y: float = 20) -> list[Path]:
    """Axial slices at the given heights, in that order."""
    return [series.add((x, y, z), pixels) for z, pixels in zip(at, stored, strict=False)]


def test_slices_are_sorted_by_position_and_come_in_hounsfield_units(series: Any, stored: np.ndarray) -> None:
    order = [3, 0, 5, 1, 4, 2]
    for n in order:
        series.add((-10, 20, 100 + 2.5 * n), stored[n])

    image = read_image(series.folder)

    assert image.modality == "CT"
    assert image.voxels.dtype == np.int16  # whole numbers that fit, although GDCM makes 32 bits of them
    assert not image.voxels.flags.writeable
    np.testing.assert_array_equal(image.voxels, stored.astype(int) - 1024)
    assert image.spacing_ijk == pytest.approx((0.5, 0.8, 2.5))  # DICOM names the distance between rows first
    assert image.origin_lps == (-10, 20, 100)
    np.testing.assert_array_equal(image.direction, np.eye(3))
    assert image.path == series.folder


def test_reading_ends_without_an_error_that_python_only_prints(
    series: Any, stored: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    add_axial(series, stored, [0, 3, 6])
    read_image(series.folder)
    gc.collect()
    assert printed == []


@pytest.mark.parametrize("flipped", [1, -1])
def test_an_oblique_series_lies_where_the_scanner_saw_it(
    series: Any, stored: np.ndarray, rotation: np.ndarray, flipped: int
) -> None:
    row, column, normal = rotation.T[0], flipped * rotation.T[1], flipped * rotation.T[2]
    series.orientation = (*row, *column)
    start = np.array([12.5, -80.25, 33])
    for n in (2, 0, 1, 3):
        series.add(start + 4 * n * normal, stored[n])

    image = read_image(series.folder)

    np.testing.assert_array_equal(image.voxels, stored[:4].astype(int) - 1024)
    for i, j, k in [(0, 0, 0), (7, 6, 3), (2, 5, 1)]:
        expected = start + 0.5 * i * row + 0.8 * j * column + 4 * k * normal
        np.testing.assert_allclose((image.ijk_to_lps @ [i, j, k, 1])[:3], expected, atol=1e-6)


def test_values_that_are_not_whole_become_float32(series: Any, stored: np.ndarray) -> None:
    series.slope, series.intercept = 0.5, 0.25
    add_axial(series, stored, [0, 3, 6])
    voxels = read_image(series.folder).voxels
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, stored[:3] * 0.5 + 0.25)


def test_each_slice_has_its_own_slope(series: Any, stored: np.ndarray) -> None:
    """PET scanners scale every slice by itself; the first one happens to have whole values here."""
    series.modality, series.intercept = "PT", 0
    slopes = [1, 1.5, 0.125, 30]
    for n, slope in enumerate(slopes):
        series.slope = slope
        series.add((0, 0, 3 * n), stored[n])
    image = read_image(series.folder)
    assert image.modality == "PT"
    np.testing.assert_array_equal(image.voxels, stored[:4] * np.array(slopes)[:, None, None])


def test_values_beyond_16_bits_are_kept(series: Any, stored: np.ndarray) -> None:
    series.intercept = 0
    series.add((0, 0, 0), stored[0])
    series.slope = 100
    series.add((0, 0, 3), stored[1])
    voxels = read_image(series.folder).voxels
    assert voxels.dtype == np.int32
    np.testing.assert_array_equal(voxels, stored[:2].astype(int) * np.array([1, 100])[:, None, None])


def compress(file: Path, how: str) -> str:
    """Replace a slice by the same slice compressed without loss; the name of its transfer syntax."""
    if how == "RLE":
        dataset = pydicom.dcmread(file)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(file)
    else:
        image = sitk.ReadImage(file)
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.KeepOriginalImageUIDOn()
        writer.UseCompressionOn()
        writer.SetCompressor(how)
        writer.SetFileName(str(file))
        writer.Execute(image)
    return pydicom.dcmread(file).file_meta.TransferSyntaxUID.name


@pytest.mark.parametrize("how", ["RLE", "JPEG", "JPEG2000"])
def test_compressed_slices_and_negative_stored_values_are_understood(series: Any, how: str) -> None:
    series.signed, series.intercept = True, 0
    ramp = np.add.outer(np.arange(3) * 5, np.add.outer(np.arange(16), np.arange(12))) - 30
    for file in add_axial(series, ramp, [0, 3, 6]):
        assert how[:4] in compress(file, how).replace(" ", "")
    image = read_image(series.folder)
    assert image.voxels.dtype == np.int16
    np.testing.assert_array_equal(image.voxels, ramp)
    assert image.origin_lps == (-10, 20, 0)


def test_files_that_are_no_images_are_passed_over(series: Any, stored: np.ndarray) -> None:
    add_axial(series, stored, [0, 3, 6])
    (series.folder / "README.txt").write_text("CT of the chest")
    (series.folder / ".DS_Store").write_bytes(b"\x00\x01\x02")
    series.add((0, 0, 0), stored[0], Rows=None, Columns=None, PixelData=None, Modality="SR")
    (series.folder / "more").mkdir()
    assert read_image(series.folder).voxels.shape == (3, 7, 8)


def test_files_without_preamble_are_dicom_too(series: Any, stored: np.ndarray) -> None:
    for file in add_axial(series, stored, [0, 3, 6]):
        file.write_bytes(file.read_bytes()[132:])
    np.testing.assert_array_equal(read_image(series.folder).voxels, stored[:3].astype(int) - 1024)


def test_positions_may_be_rounded_a_little(series: Any, stored: np.ndarray) -> None:
    add_axial(series, stored, [0, 3.33, 6.67, 10, 13.33, 16.67])
    assert read_image(series.folder).spacing_ijk[2] == pytest.approx(16.67 / 5)


def test_a_series_of_one_slice_is_as_thick_as_the_slice(series: Any, stored: np.ndarray) -> None:
    add_axial(series, stored, [5])
    image = read_image(series.folder)
    assert image.voxels.shape == (1, 7, 8)
    assert image.spacing_ijk == (0.5, 0.8, 2)


def test_a_real_ct_series_equals_its_nifti_copy(shared_data: Path) -> None:
    image = read_image(shared_data / "dicom" / "sarcoma_001_ct")
    copy = read_image(shared_data / "sarcoma_001" / "CT_image.nii.gz")
    assert (image.modality, image.voxels.dtype) == ("CT", np.int16)
    assert image.spacing_ijk == pytest.approx((0.976562, 0.976562, 3.27))
    assert grid_difference(image, copy) is None
    np.testing.assert_allclose(image.ijk_to_lps, copy.ijk_to_lps, atol=1e-4)
    np.testing.assert_array_equal(image.voxels, copy.voxels)


def test_a_real_oblique_mr_series_equals_its_nifti_copy(shared_data: Path) -> None:
    image = read_image(shared_data / "dicom" / "prostate_1_oblique")
    copy = read_image(shared_data / "prostate_1" / "image_t2_tra.nii.gz")
    assert image.modality == "MR"
    assert abs(image.direction[1, 2]) == pytest.approx(0.1097, abs=1e-4)
    assert grid_difference(image, copy) is None
    np.testing.assert_allclose(image.ijk_to_lps, copy.ijk_to_lps, atol=1e-4)
    np.testing.assert_array_equal(image.voxels, copy.voxels)


# What cannot be used


def test_a_folder_without_dicom(tmp_path: Path, refused: Callable) -> None:
    folder = tmp_path / "holiday"
    (folder / "inner").mkdir(parents=True)
    with refused(folder, "no DICOM", "give the folder"):
        read_image(folder)
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with refused(folder, "no DICOM"):
        read_image(folder)


def test_a_series_that_lacks_a_slice(series: Any, stored: np.ndarray, refused: Callable) -> None:
    add_axial(series, stored, [-3, 0, 6, 9])
    with refused(series.folder, "misses 1 slice ", "0.00 to 6.00 mm", "3 mm apart", "again"):
        read_image(series.folder)


def test_a_series_of_three_slices_that_lacks_one(series: Any, stored: np.ndarray, refused: Callable) -> None:
    add_axial(series, stored, [0, 2.5, 7.5])
    with refused(series.folder, "misses 1 slice ", "2.50 to 7.50 mm"):
        read_image(series.folder)


def test_a_series_with_gaps(series: Any, stored: np.ndarray, refused: Callable) -> None:
    add_axial(series, stored, [0, 3, 6, 15, 18, 24])
    with refused(series.folder, "misses 3 slices", "6.00 to 15.00 mm", "18.00 to 24.00 mm"):
        read_image(series.folder)


@pytest.mark.parametrize("height", [7.2, 7.9])
def test_a_series_with_uneven_spacing(series: Any, stored: np.ndarray, refused: Callable, height: float) -> None:
    add_axial(series, stored, [0, 3, height, height + 3, height + 6])
    with refused(series.folder, "unevenly spaced", f"3.00 to {height:.2f} mm", "resample"):
        read_image(series.folder)


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_slices_that_do_not_tell_where_they_lie(series: Any, stored: np.ndarray, refused: Callable, tag: str) -> None:
    file = series.add((0, 0, 0), stored[0], **{tag: None})
    with refused(file, "has no position in the patient", "give a series"):
        read_image(series.folder)


def test_one_slice_of_unknown_thickness(series: Any, stored: np.ndarray, refused: Callable) -> None:
    series.add((0, 0, 0), stored[0], SliceThickness=None)
    with refused(series.folder, "thickness is not known", "series of slices"):
        read_image(series.folder)


def test_a_slice_whose_copying_broke_off(series: Any, stored: np.ndarray, refused: Callable) -> None:
    files = add_axial(series, stored, [0, 3, 6])
    files[1].write_bytes(files[1].read_bytes()[:-40])
    with refused(files[1], "cannot be decoded", "again"):
        read_image(series.folder)


def test_a_slice_with_a_damaged_header_is_not_passed_over(series: Any, stored: np.ndarray, refused: Callable) -> None:
    files = add_axial(series, stored, [0, 3, 6])
    content = files[2].read_bytes()
    files[2].write_bytes(content[:132] + b"\xff" * 200 + content[332:])
    with refused(files[2], "again"):
        read_image(series.folder)


def test_a_series_of_one_value(series: Any, stored: np.ndarray, refused: Callable) -> None:
    add_axial(series, np.zeros_like(stored), [0, 3, 6])
    with refused(series.folder, "constant", "-1024"):
        read_image(series.folder)
