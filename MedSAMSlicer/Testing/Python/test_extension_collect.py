"""The data of LiteMedSAM+ come from the commit that is asked for, as the readers promise; what is missing has a remedy."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from litemedsam_plus.collect import collect, main
from litemedsam_plus.collect_clone import Clone, find_clone
from litemedsam_plus.sources_slices import MaskFolder, filled
from litemedsam_plus.sources_table import SOURCES, Source
from litemedsam_plus.sources_volumes import read_lung_nodules
from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.evaluation.cases import read_cases

RED, GREEN = (200, 0, 0), (0, 200, 0)
SLICES = MaskFolder("data", count=10, smallest=10, coloured=True, upside_down=True, left_out="^bad$")
SOURCE = replace(SOURCES[-1], prefix="fake", repository="somebody/slices", read=SLICES)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false"]
    ended = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def committed(folder: Path) -> Clone:
    """A clone of what is in the folder."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "data")
    return Clone(folder, git(folder, "rev-parse", "HEAD"))


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def slices(tmp_path: Path) -> Clone:
    """Five pictures of 20 x 30 pixels, one of which is bad, in a clone in the folder ``clones``.

    Each mask has a red rectangle of 4 x 5 pixels at the top and a smaller one that is left out, and a green one of 6 x 6.
    """
    folder = tmp_path / "clones" / "somebody+slices"
    mask = np.zeros((20, 30, 3))
    mask[1:5, 2:7] = RED
    mask[8:10, 2:7] = RED
    mask[10:16, 20:26] = GREEN
    for number, name in enumerate(("a 1", "a-2", "b_3", "bad", "c")):
        write(folder / "data" / "images" / f"{name}.png", np.arange(600).reshape(20, 30) % 200 + number)
        write(folder / "data" / "masks" / f"{name}.png", mask)
    return committed(folder)


class TestClones:
    def test_the_commit_counts_and_not_the_work_tree(self, slices: Clone) -> None:
        (slices.folder / "data" / "images" / "c.png").unlink()
        with slices.files("data/images") as folder:
            assert len(list((folder / "data" / "images").iterdir())) == 5

    @pytest.mark.parametrize("name", ["somebody+slices", "slices", "slices.git"])
    def test_bare_clones_do_under_either_name(self, slices: Clone, tmp_path: Path, name: str) -> None:
        (tmp_path / "bare").mkdir()
        git(tmp_path, "clone", "--quiet", "--bare", str(slices.folder), f"bare/{name}")
        clone = find_clone(tmp_path / "bare", "somebody/slices", slices.commit)
        assert clone.folder == tmp_path / "bare" / name
        assert [picture.name for picture in SLICES(clone)] == ["a_1", "a_2", "b_3", "c"]

    def test_without_a_clone_the_message_has_the_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(tmp_path), str(tmp_path / "output")]) == 1
        message = capsys.readouterr().err
        for source in SOURCES:
            target = tmp_path / source.repository.replace("/", "+")
            assert f"git clone --bare https://github.com/{source.repository}.git {target}\n" in message
        assert not (tmp_path / "output").exists()

    def test_without_the_commit_the_message_has_the_command(self, slices: Clone) -> None:
        missing = "0" * 40
        with pytest.raises(MedSAMError) as caught:
            find_clone(slices.folder.parent, "somebody/slices", missing)
        assert f"git -C {slices.folder} fetch https://github.com/somebody/slices.git {missing}" in str(caught.value)

    def test_a_repository_round_the_folder_is_not_a_clone(self, slices: Clone) -> None:
        (slices.folder / "inner" / "slices").mkdir(parents=True)
        with pytest.raises(MedSAMError, match="has no commit"):
            find_clone(slices.folder / "inner", "somebody/slices", slices.commit)


class TestReaders:
    def test_colours_become_values_and_rows_are_turned_over(self, slices: Clone) -> None:
        picture = next(SLICES(slices))
        assert (picture.name, picture.where) == ("a_1", "data/{images,masks}/a 1.png")
        assert [(structure.suffix, structure.value) for structure in picture.structures] == [("l1", 1), ("l2", 2)]
        pixels = sitk.GetArrayFromImage(picture.image)
        assert np.array_equal(pixels[0, ::-1], np.arange(600).reshape(20, 30) % 200)
        labels = np.zeros((1, 20, 30))
        labels[0, 10:16, 20:26] = 1
        labels[0, 1:5, 2:7] = 2
        assert np.array_equal(sitk.GetArrayFromImage(picture.labels["label.nii.gz"])[:, ::-1], labels)
        assert picture.image.GetSpacing() == (1, 1, 1)

    def test_the_largest_nodule_of_a_patient_is_where_two_radiologists_agree(self, tmp_path: Path) -> None:
        for nodule, width in ((0, 8), (1, 12)):
            folder = tmp_path / "LIDC-IDRI-slices" / "LIDC-IDRI-0007" / f"nodule-{nodule}"
            # Sorted as text, slice 10 would come before slice 8; slice 11 is small.
            for place in (8, 9, 10, 11):
                write(folder / "images" / f"slice-{place}.png", np.full((128, 128), 10 * nodule + place))
                for radiologist, shift in ((0, 0), (2, 2), (3, 60)):
                    mask = np.zeros((128, 128))
                    mask[20 : 23 if place == 11 else 40, 20 + shift : 20 + shift + width] = 255
                    write(folder / f"mask-{radiologist}" / f"slice-{place}.png", mask)
        (picture,) = read_lung_nodules(committed(tmp_path))
        assert picture.name == "0007_n1"
        assert sitk.GetArrayFromImage(picture.image)[:, 0, 0].tolist() == [18, 19, 20]
        labels = sitk.GetArrayFromImage(picture.labels["label.nii.gz"])
        assert labels.sum() == 3 * 20 * 10 and labels[:, 20:40, 22:32].all()

    @pytest.mark.parametrize("left", [15, -20])
    def test_an_ellipse_is_filled_even_if_the_border_cuts_it(self, left: int) -> None:
        rows, columns = np.indices((100, 120))
        inside = ((rows - 50) / 40) ** 2 + ((columns - left - 45) / 45) ** 2 < 1
        outline = inside & ~(((rows - 50) / 38) ** 2 + ((columns - left - 45) / 43) ** 2 < 1)
        assert (filled(outline) ^ inside).sum() < 0.02 * inside.sum()


@pytest.fixture
def gathered(slices: Clone, tmp_path: Path) -> Callable[[Source], Path]:
    def gather(source: Source) -> Path:
        collect(tmp_path / "clones", tmp_path / "output", [replace(source, commit=slices.commit)])
        return tmp_path / "output"

    return gather


class TestTables:
    def test_every_fourth_picture_is_held_back(self, gathered: Callable[[Source], Path]) -> None:
        output = gathered(SOURCE)
        train, held = read_cases(output / "train.csv"), read_cases(output / "held.csv")
        assert [case.id for case in train] == [
            f"fake_{name}_l{value}" for name in ("a_1", "a_2", "b_3") for value in (1, 2)
        ]
        assert [case.id for case in held] == ["fake_c_l1", "fake_c_l2"]

    def test_named_pictures_are_held_back(self, gathered: Callable[[Source], Path]) -> None:
        output = gathered(replace(SOURCE, held_back=frozenset({"a_2"})))
        assert [case.id for case in read_cases(output / "held.csv")] == ["fake_a_2_l1", "fake_a_2_l2"]

    def test_every_object_has_its_licence_and_origin(self, gathered: Callable[[Source], Path], slices: Clone) -> None:
        with (gathered(SOURCE) / "sources.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 8
        assert rows[0]["licence"] == SOURCE.licence and rows[0]["attribution"] == SOURCE.attribution
        assert rows[0]["source"] == f"github.com/somebody/slices@{slices.commit[:12]}:data/{{images,masks}}/a 1.png"

    def test_an_output_that_cannot_be_written_is_said_in_one_line(
        self, slices: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("litemedsam_plus.collect.SOURCES", [replace(SOURCE, commit=slices.commit)])
        output = tmp_path / "output"
        output.write_text("a file, not a folder", encoding="utf-8")
        assert main([str(tmp_path / "clones"), str(output)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"collect: {output} cannot be written: ")
