"""A file is written whole, or what was there before stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.output_files import write_atomically


def test_the_writer_fills_a_file_beside_the_target_with_the_same_ending(tmp_path: Path) -> None:
    target = tmp_path / "report.v2.seg.nrrd"
    target.write_text("old")
    seen = []

    def writer(path: Path) -> None:
        seen.append(path)
        assert path.parent == target.parent
        assert path.name.endswith(".seg.nrrd")
        assert not path.exists()
        path.write_text("new")
        assert target.read_text() == "old"

    write_atomically(target, writer)

    assert len(seen) == 1
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_atomically(tmp_path / "report.json", lambda path: path.write_text("{}"))
    assert (tmp_path / "report.json").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_longest_possible_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250 + ".json")
    write_atomically(target, lambda path: path.write_text("{}"))
    assert target.read_text() == "{}"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "report.json"
    target.write_text("old")
    link = tmp_path / "report.json"
    link.symlink_to(target)
    write_atomically(link, lambda path: path.write_text("new"))
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EACCES, "its folder is not writable"),
        (errno.EROFS, "its folder is not writable"),
        (errno.ENOENT, "its folder is not writable"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_disk_that_fails_half_way(tmp_path: Path, refused: Callable, number: int, words: str, existed: bool) -> None:
    target = tmp_path / "report.json"
    if existed:
        target.write_text("old")

    def writer(path: Path) -> None:
        path.write_text("half")
        raise OSError(number, os.strerror(number), str(path))

    with refused(target, words, "choose another"):
        write_atomically(target, writer)


def test_a_disk_that_tells_only_at_the_end_that_it_is_full(
    tmp_path: Path, refused: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with refused(target, "the disk is full"):
        write_atomically(target, lambda path: path.write_text("new"))


def test_a_folder_that_is_missing(tmp_path: Path, refused: Callable) -> None:
    target = tmp_path / "missing" / "report.json"
    with refused(target, "was not written", "folder does not exist", "create it"):
        write_atomically(target, lambda path: path.write_text("new"))
    assert not target.parent.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, InputError])
def test_ctrl_c_and_errors_of_the_writer_pass_through_and_leave_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "preview.png"
    target.write_text("old")

    def writer(path: Path) -> None:
        path.write_text("half")
        raise error("stop")

    with pytest.raises(error, match="stop"):
        write_atomically(target, writer)
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "old"


def test_ctrl_c_just_before_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "preview.png"
    target.write_text("old")

    def interrupted(source: Path, destination: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, lambda path: path.write_text("new"))
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text() == "old"
