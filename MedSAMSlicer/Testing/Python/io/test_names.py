"""Files and folders whose names are not ASCII, on Windows too, where a program's own encoding is not that of names."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

from MedSAMSlicerLib.io.image_files import read_image
from MedSAMSlicerLib.io.segmentations import read_label, write_segmentation

FOLDER = "Größe 肿瘤 naïve"
VOXELS = np.random.default_rng(3).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"])
def test_volumes_are_read_and_segmentations_written(tmp_path: Path, ending: str) -> None:
    (tmp_path / FOLDER).mkdir()
    path = tmp_path / FOLDER / f"Aufnahme é 图像{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels, VOXELS)
    for output in ("Tumor ß 肿瘤.seg.nrrd", "Tumor ß 肿瘤.nii.gz"):
        write_segmentation(tmp_path / FOLDER / output, VOXELS > 0, image, "Tumor ß 肿瘤", (1, 0, 0))
        np.testing.assert_array_equal(read_label(tmp_path / FOLDER / output, "1", like=image), VOXELS > 0)


def test_series_and_pictures_are_read(new_series: Callable, stored: np.ndarray, tmp_path: Path) -> None:
    series: Any = new_series(tmp_path / FOLDER / "Serie ü 系列")
    for n in range(3):
        series.add((0, 0, 3 * n), stored[n])
    np.testing.assert_array_equal(read_image(tmp_path / FOLDER).voxels, stored[:3].astype(int) - 1024)
    picture = stored[0].astype(np.uint8)
    Picture.fromarray(picture).save(tmp_path / FOLDER / "Foto ö 照片.png")
    np.testing.assert_array_equal(read_image(tmp_path / FOLDER / "Foto ö 照片.png").voxels[0], picture)


def test_no_text_is_read_or_written_in_the_encoding_of_the_system(repository: Path) -> None:
    """On Windows that is an ANSI code page, which has no word for most names."""
    library = repository / "MedSAMSlicer" / "MedSAMSlicerLib"
    found = {
        file.relative_to(library).as_posix(): without_encoding(file.read_text("utf-8"))
        for file in library.rglob("*.py")
    }
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_a_text_in_the_encoding_of_the_system_is_found() -> None:
    assert without_encoding("p.read_text()\np.open()\nopen('x', 'w')\n'x'.encode('mbcs')") == [1, 2, 3, 4]
    assert without_encoding("p.read_text('utf-8')\np.open('rb')\nopen('x', encoding='utf-8')\nPicture.open(p)") == []


def without_encoding(source: str) -> list[int]:
    """Lines that open a text without naming its encoding, or that name that of the system."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in ("mbcs", "ansi", "oem"):
            lines.append(node.lineno)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = any(keyword.arg == "encoding" for keyword in node.keywords)
        texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        other = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in (
            "Picture",
            "gzip",
            "os",
            "package",
        )
        if name == "read_text" and not (named or node.args):
            lines.append(node.lineno)
        if name == "write_text" and not named and len(node.args) < 2:
            lines.append(node.lineno)
        if name == "open" and not (named or other or any("b" in str(text) for text in texts)):
            lines.append(node.lineno)
    return sorted(lines)
