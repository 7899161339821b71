"""The table of cases is read as it is meant, or refused in one line that says where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.evaluation.cases import read_cases

HEADER = "id,modality,image,label,value,axis,window\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("image.nrrd", "label.nrrd"):
        (tmp_path / name).touch()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "cases.csv"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    (case,) = read_cases(write(folder, HEADER + "a,CT,image.nrrd,label.nrrd,1+3,,\n"))
    assert case.image == folder / "image.nrrd" and case.value == "1+3"
    assert (case.axis, case.window) == ("", "auto")


def test_images_of_a_patient_belong_together(folder: Path) -> None:
    lines = "a_ct,CT,image.nrrd,label.nrrd,1,,\na_mr,MR,image.nrrd,label.nrrd,2,,\nb,CT,image.nrrd,label.nrrd,1,,\n"
    cases = read_cases(write(folder, HEADER + lines))
    assert [(case.patient, case.structure) for case in cases] == [("a", "1"), ("a", "2"), ("b", "1")]
    more = HEADER.replace("window", "window,patient,structure") + "a_ct,CT,image.nrrd,label.nrrd,1,,,Doe, GTV\n"
    (case,) = read_cases(write(folder, more))
    assert (case.patient, case.structure) == ("Doe", "GTV")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,image\n", "no column modality"),
        (HEADER, "has no case"),
        (HEADER + "a,CT,image.nrrd,label.nrrd,1,K,\na,CT,image.nrrd,label.nrrd,1,K,\n", "is not unique"),
        (HEADER + "a,CT,image.nrrd,,1,K,\n", "line 2: column label is empty"),
        (HEADER + "a,CT,image.nrrd,other.nrrd,1,K,\n", "other.nrrd does not exist"),
        (HEADER + "a,CT,image.nrrd,label.nrrd,1,Z,\n", "choose I, J or K"),
    ],
)
def test_a_bad_table_is_refused(folder: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_cases(write(folder, text))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere.csv does not exist"):
        read_cases(tmp_path / "nowhere.csv")
