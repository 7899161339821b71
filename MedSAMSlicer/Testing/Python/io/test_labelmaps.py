"""Reading the object out of a labelmap that goes with an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.segmentations import read_label


@pytest.fixture
def labels() -> np.ndarray:
    """(5, 6, 7) labels 0 to 4."""
    return np.random.default_rng(5).integers(0, 5, (5, 6, 7)).astype(np.uint8)


def save(labels: np.ndarray, path: Path, image: Image) -> Path:
    output = sitk.GetImageFromArray(labels)
    output.SetSpacing(image.spacing_ijk)
    output.SetOrigin(image.origin_lps)
    output.SetDirection(image.direction.ravel().tolist())
    sitk.WriteImage(output, str(path))
    return path


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_one_label_or_several_are_the_object(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, ending: str, dtype: type
) -> None:
    path = save(labels.astype(dtype), tmp_path / f"truth{ending}", oblique_image)
    mask = read_label(path, "1", oblique_image)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, labels == 1)
    np.testing.assert_array_equal(read_label(str(path), "1 + 3+4", oblique_image), np.isin(labels, [1, 3, 4]))


def test_without_an_image_any_grid_will_do(labels: np.ndarray, oblique_image: Image, tmp_path: Path) -> None:
    path = save(labels[:, :3], tmp_path / "truth.nrrd", oblique_image)
    np.testing.assert_array_equal(read_label(path, "2"), labels[:, :3] == 2)


def test_geometry_rounded_as_files_do_still_fits(labels: np.ndarray, oblique_image: Image, tmp_path: Path) -> None:
    rounded = replace(
        oblique_image,
        spacing_ijk=tuple(np.round(oblique_image.spacing_ijk, 5)),
        origin_lps=tuple(np.round(oblique_image.origin_lps, 4)),
        direction=np.round(oblique_image.direction, 6),
    )
    path = save(labels, tmp_path / "truth.nrrd", rounded)
    np.testing.assert_array_equal(read_label(path, "1", oblique_image), labels == 1)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("spacing", {"spacing_ijk": (1.0, 0.7, 3.27)}),
        ("origin", {"origin_lps": (-123.2, 881.3200073242188, -0.1)}),
        ("direction", {"direction": np.eye(3)}),
    ],
)
def test_a_labelmap_of_another_place_is_refused(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, refused: Callable, part: str, change: dict
) -> None:
    path = save(labels, tmp_path / "truth.nrrd", replace(oblique_image, **change))
    with refused(path, oblique_image.path, f"its {part} is", "resample"):
        read_label(path, "1", oblique_image)


def test_a_labelmap_that_is_mirrored_is_refused(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, refused: Callable
) -> None:
    path = save(labels, tmp_path / "truth.nrrd", replace(oblique_image, direction=oblique_image.direction * [1, -1, 1]))
    with refused(path, "its direction is"):
        read_label(path, "1", oblique_image)


def test_a_labelmap_of_another_size_is_refused(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, refused: Callable
) -> None:
    path = save(labels[:4], tmp_path / "truth.nrrd", oblique_image)
    with refused(path, "7 x 6 x 4", "7 x 6 x 5", "resample"):
        read_label(path, "1", oblique_image)


@pytest.mark.parametrize("value", ["", "tumour", "1,2", "1+", "+1", "-1", "1.5"])
def test_a_value_that_is_no_label_is_refused(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, refused: Callable, value: str
) -> None:
    path = save(labels, tmp_path / "truth.nrrd", oblique_image)
    with refused(path, repr(value), "1+3+4"):
        read_label(path, value, oblique_image)


def test_a_value_that_no_voxel_has_is_refused(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path, refused: Callable
) -> None:
    path = save(labels, tmp_path / "truth.nrrd", oblique_image)
    with refused(path, "label value 9", "it has 0, 1, 2, 3, 4"):
        read_label(path, "9", oblique_image)


def test_a_labelmap_that_is_missing_or_a_folder_is_refused(tmp_path: Path, refused: Callable) -> None:
    with refused(tmp_path / "truth.nrrd", "does not exist"):
        read_label(tmp_path / "truth.nrrd", "1")
    with refused(tmp_path, "cannot be opened"):
        read_label(tmp_path, "1")


@pytest.mark.parametrize("kind", ["hounsfield", "fractions", "grey levels"])
def test_an_image_in_the_place_of_a_labelmap_is_refused(
    oblique_image: Image, tmp_path: Path, refused: Callable, kind: str
) -> None:
    """Nearly all of it is not 0: taken for a labelmap it would be the whole slice."""
    random = np.random.default_rng(7)
    shape = (5, 60, 70)
    voxels = {
        "hounsfield": random.integers(-1000, 400, shape).astype(np.int16),
        "fractions": random.random(shape, dtype=np.float32),
        "grey levels": random.integers(0, 4000, shape).astype(np.uint16),
    }[kind]
    path = save(voxels, tmp_path / "ct.nrrd", oblique_image)
    with refused(path, "is an image or holds fractions"):
        read_label(path, None)


def test_all_labels_of_a_labelmap_together_are_the_object(
    labels: np.ndarray, oblique_image: Image, tmp_path: Path
) -> None:
    path = save(labels.astype(np.float32) * 500, tmp_path / "truth.nrrd", oblique_image)
    np.testing.assert_array_equal(read_label(path, None, oblique_image), labels > 0)
