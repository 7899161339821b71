"""Outputs are checked before the computation, and all of them appear at once after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.output_files import check_apart, check_output, write_atomically, write_together

ENDINGS = (".seg.nrrd", ".nrrd", ".nii.gz", ".mha")
NAMES = ("table.csv", "slices.csv", "plot.png")


def test_files_of_their_own_are_accepted_and_those_not_asked_for_ignored(tmp_path: Path) -> None:
    check_apart({"--output": tmp_path / "a.csv", "--slices": str(tmp_path / "b.csv"), "--plots": None, "--report": ""})


def test_one_file_by_two_ways_is_refused(tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for path, other in (("disk/a.csv", "disk/a.csv"), ("disk/a.csv", "link/a.csv"), ("disk/../a.csv", "a.csv")):
        with refused("--output and --slices name the same file", tmp_path / other, "give each its own"):
            check_apart({"--output": tmp_path / path, "--report": "r.json", "--slices": tmp_path / other})


@pytest.fixture
def old(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("old")
    return paths


def test_all_are_new_when_all_went_well(old: list[Path], tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def writer(path: Path) -> None:
        seen.append([other.read_text() for other in old])
        path.write_text("new")

    write_together({str(path): writer for path in old})
    assert seen == [["old"] * 3] * 3, "none is put in its place before the last one is filled"
    assert [path.read_text() for path in old] == ["new"] * 3
    assert sorted(tmp_path.iterdir()) == sorted(old)


@pytest.mark.parametrize("failing", range(len(NAMES)))
@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, OSError])
def test_one_that_cannot_be_filled_leaves_all_as_they_were(
    old: list[Path], tmp_path: Path, failing: int, error: type[BaseException]
) -> None:
    def writer(path: Path) -> None:
        path.write_text("half")
        if path.name.endswith(NAMES[failing]):
            raise error(f"{path} is what it is")

    with pytest.raises(InputError if error is OSError else error) as caught:
        write_together({str(path): writer for path in old})
    if error is not KeyboardInterrupt:
        assert str(old[failing]) in str(caught.value)
    assert [path.read_text() for path in old] == ["old"] * 3
    assert sorted(tmp_path.iterdir()) == sorted(old)


@pytest.mark.parametrize("failing", range(2 * len(NAMES)))
def test_a_disk_that_tells_late_that_it_is_full_leaves_all_as_they_were(
    old: list[Path], tmp_path: Path, refused: Callable, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Writers that are atomic themselves store their file once, and it is stored once more beside its place."""
    stored: list[int] = []

    def full(descriptor: int) -> None:
        stored.append(descriptor)
        if len(stored) == failing + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with refused(f"{old[failing // 2]} was not written: the disk is full"):
        write_together(
            {str(path): lambda path: write_atomically(path, lambda inner: inner.write_text("new")) for path in old}
        )
    assert len(stored) == failing + 1
    assert sorted(tmp_path.iterdir()) == sorted(old)


@pytest.fixture
def scan(oblique: sitk.Image, tmp_path: Path) -> Path:
    (tmp_path / "case").mkdir()
    path = tmp_path / "case" / "scan.nrrd"
    sitk.WriteImage(oblique, str(path))
    return path


def test_a_good_output_may_be_new_or_replace_an_older_result(scan: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for ending in ENDINGS:
        check_output(tmp_path / f"tumour{ending}", [scan], ENDINGS)
    assert sorted(tmp_path.rglob("*")) == before  # looking leaves nothing behind
    (tmp_path / "tumour.seg.nrrd").write_text("old")
    check_output(str(tmp_path / "tumour.seg.nrrd"), [str(scan)], ENDINGS)
    check_output(tmp_path / "report.json", [scan], endings=(".json",))
    assert (tmp_path / "tumour.seg.nrrd").read_text() == "old"


def test_an_output_in_a_folder_that_is_missing(scan: Path, tmp_path: Path, refused: Callable) -> None:
    with refused(tmp_path / "results", "does not exist", "create it"):
        check_output(tmp_path / "results" / "tumour.nrrd", [scan], ENDINGS)


def test_an_output_that_is_a_folder(scan: Path, tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "tumour.nrrd").mkdir()
    with refused(tmp_path / "tumour.nrrd", "is a folder", "name of a file"):
        check_output(tmp_path / "tumour.nrrd", [scan], ENDINGS)


def test_an_output_with_a_name_that_is_too_long(scan: Path, tmp_path: Path, refused: Callable) -> None:
    with refused("was not written", "choose another"):
        check_output(tmp_path / ("x" * 300 + ".nrrd"), [scan], ENDINGS)


def test_an_output_that_is_the_input(scan: Path, tmp_path: Path, refused: Callable) -> None:
    with refused(scan, "same file as the input", "another name"):
        check_output(scan, [scan], ENDINGS)
    with refused("same file as the input"):
        check_output(scan.parent / ".." / "case" / "scan.nrrd", [tmp_path / "other.nrrd", scan], ENDINGS)
    link = tmp_path / "link.nrrd"
    link.symlink_to(scan)
    with refused(link, "same file as the input"):
        check_output(link, [scan], ENDINGS)


def test_an_output_in_the_dicom_folder_that_is_read(series: Any, refused: Callable) -> None:
    path = series.folder / "tumour.nrrd"
    with refused(path, series.folder, "choose another folder"):
        check_output(path, [series.folder], ENDINGS)


def test_an_output_that_is_write_protected(
    scan: Path, tmp_path: Path, refused: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "final.nrrd"
    path.write_text("signed off")
    path.chmod(0o444)
    if os.access(path, os.W_OK):  # an administrator is refused nothing: answer as the system answers others
        monkeypatch.setattr(os, "access", lambda file, mode: Path(file) != path)
    with refused(path, "write-protected", "another name"):
        check_output(path, [scan], ENDINGS)


def test_no_output_lies_in_or_below_a_folder_that_is_read(tmp_path: Path, refused: Callable) -> None:
    (tmp_path / "patient" / "ct").mkdir(parents=True)
    (tmp_path / "patient 2").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "patient" / "ct")
    slice_ = tmp_path / "patient" / "ct" / "001.dcm"
    slice_.write_text("pixels")
    for output in (slice_, tmp_path / "patient" / "new.dcm", tmp_path / "link" / "001.dcm"):
        with refused(output, "the folder that is read", "choose another folder"):
            check_output(output, [tmp_path / "patient"], (".dcm",))
    for output in (tmp_path / "new.dcm", tmp_path / "patient 2" / "new.dcm"):
        check_output(output, [tmp_path / "patient"], (".dcm",))
