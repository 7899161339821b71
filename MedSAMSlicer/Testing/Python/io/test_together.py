"""Files that belong together are told apart before the work, and appear all at once after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.output_files import write_atomically
from MedSAMSlicerLib.io.together import check_apart, write_together

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
