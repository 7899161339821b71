"""Opening photographs and screenshots, and writing masks as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

from MedSAMSlicerLib.io.image import Image
from MedSAMSlicerLib.io.image_files import read_image
from MedSAMSlicerLib.io.segmentations import read_label, write_segmentation

COLOURS = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_a_colour_picture_is_a_stack_of_one(tmp_path: Path, ending: str) -> None:
    Picture.fromarray(COLOURS).save(tmp_path / f"polyp{ending}")
    image = read_image(tmp_path / f"polyp{ending}")
    np.testing.assert_array_equal(image.voxels, COLOURS[None])
    assert image.spacing_ijk == (1, 1, 1) and "size of a pixel" in image.notes[0]


def test_a_photograph_is_read_as_it_was_held(tmp_path: Path) -> None:
    smooth = np.asarray(Picture.fromarray(COLOURS[:2, :3]).resize((60, 40)))
    exif = Picture.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Picture.fromarray(smooth).save(tmp_path / "skin.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "skin.jpg")
    assert image.voxels.shape == (1, 60, 40, 3)
    assert np.abs(image.voxels[0].astype(int) - np.rot90(smooth, -1)).mean() < 5


def test_a_second_picture_in_a_jpeg_file_is_no_slice(tmp_path: Path) -> None:
    pages = [Picture.fromarray(COLOURS), Picture.fromarray(COLOURS[::2, ::2])]
    pages[0].save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=pages[1:])
    assert read_image(tmp_path / "phone.jpg").voxels.shape == (1, 20, 30, 3)


@pytest.mark.parametrize("ending", [".nrrd", ".nii"])
def test_a_flat_colour_image_is_a_stack_of_one(tmp_path: Path, ending: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(COLOURS, isVector=True), str(tmp_path / f"skin{ending}"))
    np.testing.assert_array_equal(read_image(tmp_path / f"skin{ending}").voxels, COLOURS[None])


def test_transparency_and_palettes_are_colours(tmp_path: Path) -> None:
    Picture.fromarray(np.dstack([COLOURS, np.full((20, 30), 128, np.uint8)])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png").voxels[0], COLOURS)
    palette = Picture.fromarray(COLOURS).quantize(16)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png").voxels[0], np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_picture_stays_grey(tmp_path: Path, dtype: type) -> None:
    grey = COLOURS[..., 0].astype(dtype) * (200 if dtype is np.uint16 else 1)
    Picture.fromarray(grey).save(tmp_path / "us.png")
    image = read_image(tmp_path / "us.png")
    assert not image.is_colour
    np.testing.assert_array_equal(image.voxels[0], grey)


def test_the_pages_of_a_tiff_file_are_slices(tmp_path: Path) -> None:
    pages = [Picture.fromarray(np.roll(COLOURS, n, axis=0)) for n in range(3)]
    pages[0].save(tmp_path / "cine.tif", save_all=True, append_images=pages[1:])
    image = read_image(tmp_path / "cine.tif")
    assert image.voxels.shape == (3, 20, 30, 3)
    np.testing.assert_array_equal(image.voxels[2], np.roll(COLOURS, 2, axis=0))


def test_pages_of_different_sizes_are_refused(tmp_path: Path, refused: Callable) -> None:
    pages = [Picture.fromarray(COLOURS), Picture.fromarray(COLOURS[:10])]
    pages[0].save(tmp_path / "album.tif", save_all=True, append_images=pages[1:])
    with refused(tmp_path / "album.tif", "different sizes"):
        read_image(tmp_path / "album.tif")


def test_a_picture_whose_copying_broke_off(tmp_path: Path, refused: Callable) -> None:
    Picture.fromarray(COLOURS).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-200])
    with refused(tmp_path / "cut.png", "incomplete", "again"):
        read_image(tmp_path / "cut.png")


def test_a_mask_is_written_as_a_picture_and_read_back(tmp_path: Path) -> None:
    Picture.fromarray(COLOURS).save(tmp_path / "polyp.png")
    image = read_image(tmp_path / "polyp.png")
    mask = COLOURS[None, ..., 0] > 100
    write_segmentation(tmp_path / "mask.png", mask, image, "polyp", (1, 0, 0))
    assert set(np.unique(np.asarray(Picture.open(tmp_path / "mask.png")))) == {0, 255}
    np.testing.assert_array_equal(read_label(tmp_path / "mask.png", "255", like=image), mask)
    write_segmentation(tmp_path / "polyp.seg.nrrd", mask, image, "polyp", (1, 0, 0))
    np.testing.assert_array_equal(read_label(tmp_path / "polyp.seg.nrrd", "1", like=image), mask)


def test_several_slices_are_no_picture(tmp_path: Path, refused: Callable) -> None:
    voxels = COLOURS[..., 0][None].repeat(2, axis=0)
    image = Image.from_array(voxels, spacing=(1, 1, 1))
    with refused("mask.png", "one slice of 2", ".nrrd"):
        write_segmentation(tmp_path / "mask.png", voxels > 3, image, "x", (1, 0, 0))
