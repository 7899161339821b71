"""Opening NRRD, NIfTI and MetaImage files, and being told why a file cannot be used."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.image_files import read_image

ENDINGS = [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"]


def save(voxels: np.ndarray, path: Path, **options: bool) -> Path:
    """A (k, j, i) array, or one with more or fewer axes, as an image file with the default geometry."""
    sitk.WriteImage(sitk.GetImageFromArray(voxels, **options), str(path))
    return path


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(3).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_oblique_image_comes_with_its_voxels_its_type_and_its_place(
    oblique: sitk.Image, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"scan.v1{ending}"
    sitk.WriteImage(oblique, str(path))

    image = read_image(path)

    assert image.voxels.dtype == np.int16
    np.testing.assert_array_equal(image.voxels, sitk.GetArrayFromImage(oblique))
    np.testing.assert_allclose(image.spacing_ijk, oblique.GetSpacing(), atol=1e-4)
    assert image.modality is None
    assert image.path == path
    for index in [(0, 0, 0), (6, 0, 2), (3, 5, 4)]:
        lps = np.array(oblique.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose((image.ijk_to_lps @ [*index, 1])[:3], lps, atol=1e-4)
        np.testing.assert_allclose((image.ijk_to_ras @ [*index, 1])[:3], lps * [-1, -1, 1], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_voxels_keep_the_type_that_the_file_stores(voxels: np.ndarray, tmp_path: Path, dtype: type) -> None:
    stored = np.abs(voxels % 200).astype(dtype)
    image = read_image(str(save(stored, tmp_path / "scan.nrrd")))
    assert image.voxels.dtype == dtype
    np.testing.assert_array_equal(image.voxels, stored)


def test_endings_in_capitals_are_understood(voxels: np.ndarray, tmp_path: Path) -> None:
    path = save(voxels, tmp_path / "scan.nrrd").rename(tmp_path / "SCAN.NRRD")
    np.testing.assert_array_equal(read_image(path).voxels, voxels)


def test_voxels_are_not_copied_cannot_be_written_to_and_outlive_the_image(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-1000, 1000, (40, 100, 100)).astype(np.int16)
    path = save(stored, tmp_path / "scan.nrrd")
    tracemalloc.start()
    try:
        voxels = read_image(path).voxels
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < stored.nbytes / 2  # numpy made no copy, in this type or any other
    gc.collect()
    np.testing.assert_array_equal(voxels, stored)
    with pytest.raises(ValueError, match="read-only"):
        voxels[0, 0, 0] = 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_image_of_one_slice_is_a_volume(voxels: np.ndarray, tmp_path: Path, ending: str) -> None:
    assert read_image(save(voxels[:1], tmp_path / f"one{ending}")).voxels.shape == (1, 5, 6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_fourth_dimension_of_one_is_dropped(voxels: np.ndarray, tmp_path: Path, ending: str) -> None:
    path = save(voxels[None], tmp_path / f"scan{ending}", isVector=False)
    np.testing.assert_array_equal(read_image(path).voxels, voxels)


def test_the_modality_is_known_if_the_file_tells_it(oblique: sitk.Image, tmp_path: Path) -> None:
    oblique.SetMetaData("0008|0060", "MR")
    sitk.WriteImage(oblique, str(tmp_path / "scan.nrrd"))
    assert read_image(tmp_path / "scan.nrrd").modality == "MR"


def test_a_nrrd_file_in_ras_lies_where_it_lies(voxels: np.ndarray, tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 6 5 4\n"
        "space directions: (0,2,0) (-1,0,0) (0,0,3)\nspace origin: (10,20,30)\nendian: little\nencoding: raw\n\n"
    )
    path = tmp_path / "ras.nrrd"
    path.write_bytes(header.encode() + voxels.tobytes())
    np.testing.assert_allclose(
        read_image(path).ijk_to_ras, [[0, -1, 0, 10], [2, 0, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]], atol=1e-12
    )


# What cannot be used


def test_a_path_where_nothing_is(tmp_path: Path, refused: Callable) -> None:
    for name in ("scan.nrrd", "folder_with_a_typo"):
        with refused(tmp_path / name, "does not exist", "check the path"):
            read_image(tmp_path / name)


def test_a_file_of_another_kind(voxels: np.ndarray, tmp_path: Path, refused: Callable) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7")
    with refused(path, ".nrrd", ".nii.gz", ".mha", ".png", "DICOM"):
        read_image(path)
    path = path.rename(tmp_path / "photo.png")
    with refused(path, "cannot be read as a picture"):
        read_image(path)
    path = path.rename(tmp_path / "0001.dcm")
    with refused(path, "no DICOM image"):
        read_image(path)


def test_a_file_that_is_empty(tmp_path: Path, refused: Callable) -> None:
    path = tmp_path / "scan.nrrd"
    path.touch()
    with refused(path, "empty", "again"):
        read_image(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_of_another_kind_behind_a_known_ending(tmp_path: Path, refused: Callable, ending: str) -> None:
    path = tmp_path / f"scan{ending}"
    path.write_bytes(b"this is no image at all, but long enough for a header " * 20)
    with refused(path, "cannot be read", "again"):
        read_image(path)


@pytest.mark.parametrize("kept", [0.5, 0.99])
@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_a_file_whose_copying_broke_off(tmp_path: Path, refused: Callable, ending: str, kept: float) -> None:
    noise = np.random.default_rng(1).integers(-1000, 1000, (20, 40, 50)).astype(np.int16)
    path = save(noise, tmp_path / f"scan{ending}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with refused(path, "incomplete", "again"):
        read_image(path)


def test_a_compressed_file_with_a_damaged_byte(tmp_path: Path, refused: Callable) -> None:
    noise = np.random.default_rng(1).integers(-1000, 1000, (20, 40, 50)).astype(np.int16)
    path = save(noise, tmp_path / "scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the checksum at the end no longer fits
    path.write_bytes(content)
    with refused(path, "damaged"):
        read_image(path)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_header_without_its_data_file(voxels: np.ndarray, tmp_path: Path, refused: Callable, ending: str) -> None:
    path = save(voxels, tmp_path / f"scan{ending}")
    for file in tmp_path.iterdir():
        if file != path:
            file.unlink()
    with refused(path, "its data file is not beside it"):
        read_image(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_flat_image(voxels: np.ndarray, tmp_path: Path, refused: Callable, ending: str) -> None:
    path = save(voxels[0], tmp_path / f"flat{ending}")
    with refused(path, "2D", "6 x 5", "give a 3D image"):
        read_image(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_frame_of_an_image_over_time_is_chosen(
    voxels: np.ndarray, tmp_path: Path, refused: Callable, ending: str
) -> None:
    path = save(np.stack([voxels, voxels + 1, voxels + 2]), tmp_path / f"cine{ending}", isVector=False)
    with refused(path, "3 frames", "0 to 2", "--frame all"):
        read_image(path)
    with refused(path, "no frame 3", "0 to 2"):
        read_image(path, frame=3)
    frame = read_image(path, frame=2)
    np.testing.assert_array_equal(frame.voxels, voxels + 2)
    assert frame.spacing_ijk == (1, 1, 1) and not frame.notes


@pytest.mark.parametrize("last", [False, True])
def test_a_sequence_of_slicer_is_an_image_over_time(voxels: np.ndarray, tmp_path: Path, last: bool) -> None:
    frames = np.stack([voxels, voxels + 1, voxels + 2])
    axes = ["domain"] * 3
    directions = ["(1,0,0)", "(0,1,0)", "(0,0,2)"]
    sizes = [6, 5, 4]
    for parts, one in ((axes, "list"), (directions, "none"), (sizes, 3)):
        parts.insert(3 if last else 0, one)  # type: ignore[attr-defined]
    header = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, sizes))}\nspace directions: {' '.join(directions)}\nkinds: {' '.join(axes)}\n"
        "space origin: (1,2,3)\nendian: little\nencoding: raw\n\n"
    )
    path = tmp_path / "phases.seq.nrrd"
    path.write_bytes(header.encode() + (frames if last else np.ascontiguousarray(np.moveaxis(frames, 0, -1))).tobytes())
    frame = read_image(path, frame=1)
    np.testing.assert_array_equal(frame.voxels, voxels + 1)
    assert (frame.spacing_ijk, frame.origin_lps) == ((1, 1, 2), (1, 2, 3))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_colour_image_keeps_its_colours(voxels: np.ndarray, tmp_path: Path, ending: str) -> None:
    colours = np.stack([voxels, voxels + 1, voxels * 2], axis=-1).astype(np.uint8)
    image = read_image(save(colours, tmp_path / f"colour{ending}", isVector=True))
    assert image.is_colour and image.voxels.dtype == np.uint8
    np.testing.assert_array_equal(image.voxels, colours)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_vectors_that_are_no_colours(voxels: np.ndarray, tmp_path: Path, refused: Callable, ending: str) -> None:
    path = save(np.stack([voxels] * 3, axis=-1).astype(np.float32), tmp_path / f"field{ending}", isVector=True)
    with refused(path, "values per voxel", "scalar image"):
        read_image(path)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_noted(voxels: np.ndarray, tmp_path: Path, ending: str, bad: float) -> None:
    values = voxels.astype(np.float32)
    values[2, 3, 1] = values[3, 0, 0] = bad
    image = read_image(save(values, tmp_path / f"scan{ending}"))
    np.testing.assert_array_equal(image.voxels, values)
    assert image.notes == ("2 voxels are NaN or infinite (the first at i 1, j 3, k 2): taken as background.",)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on other systems")
def test_a_name_that_is_no_text(voxels: np.ndarray, tmp_path: Path) -> None:
    path = save(voxels, tmp_path / "scan.nrrd")
    strange = path.rename(tmp_path / os.fsdecode(b"L\xfcb.nrrd"))
    with pytest.raises(InputError, match="no valid text: rename"):
        read_image(strange)


def test_an_image_without_a_number(voxels: np.ndarray, tmp_path: Path, refused: Callable) -> None:
    path = save(np.full_like(voxels, np.nan, dtype=np.float32), tmp_path / "scan.nrrd")
    with refused(path, "no voxel that is a finite number"):
        read_image(path)


@pytest.mark.parametrize("value", [np.int16(-1000), np.float32(0.25)])
def test_an_image_of_one_value(tmp_path: Path, refused: Callable, value: np.generic) -> None:
    path = save(np.full((4, 5, 6), value), tmp_path / "empty.nrrd")
    with refused(path, "constant", f"every voxel is {value}", "another image"):
        read_image(path)


def test_axes_that_are_not_at_right_angles(voxels: np.ndarray, tmp_path: Path, refused: Callable) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 5 4\n"
        "space directions: (1,0,0) (0,1,0) (0,0.3,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n\n"
    )
    path = tmp_path / "tilted.nrrd"
    path.write_bytes(header.encode() + voxels.tobytes())
    with refused(path, "sheared", "resample"):
        read_image(path)


def test_a_nifti_file_whose_axes_are_not_at_right_angles(voxels: np.ndarray, tmp_path: Path, refused: Callable) -> None:
    path = save(voxels, tmp_path / "tilted.nii")
    content = bytearray(path.read_bytes())
    content[252:254] = np.int16(0).tobytes()  # qform_code: only the affine matrix counts
    content[254:256] = np.int16(1).tobytes()  # sform_code
    content[280:328] = np.array([[1, 0, 0.3, 0], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32).tobytes()
    path.write_bytes(content)
    with refused(path, "sheared", "resample"):
        read_image(path)
