"""A file or a folder is replaced as a whole, and what a process left that died is removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine.atomic_files import remove_abandoned, replace_atomically


@pytest.mark.parametrize("flush", [True, False])
def test_the_old_file_stays_until_the_block_ends(tmp_path: Path, flush: bool) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replace_atomically(path, flush) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".json" and part.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_a_block_that_raises_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def write() -> None:
        with replace_atomically(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_with_all_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "network"
    with replace_atomically(path) as part:
        (part / "inner").mkdir(parents=True)
        (part / "inner" / "weights.bin").write_bytes(b"1")
        assert not path.exists()
    assert (path / "inner" / "weights.bin").read_bytes() == b"1" and list(tmp_path.iterdir()) == [path]


def test_a_folder_with_files_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "network"
    path.mkdir()
    (path / "weights.bin").write_bytes(b"old")
    with pytest.raises(OSError, match="network"), replace_atomically(path) as part:
        part.mkdir()
    assert (path / "weights.bin").read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_atomically(tmp_path / "a.json"):
        assert not (tmp_path / "a.json").exists()
    assert not list(tmp_path.iterdir())


def test_only_temporary_files_that_nobody_writes_to_any_more_are_removed(tmp_path: Path) -> None:
    for name in (".part-old", ".part-new", "weights.pth", ".part-old-folder/a.whl", ".part-new-folder/a.whl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    two_hours_ago = time.time() - 7200
    for name in (".part-old", "weights.pth", ".part-old-folder/a.whl", ".part-old-folder", ".part-new-folder"):
        os.utime(tmp_path / name, (two_hours_ago, two_hours_ago))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-new", ".part-new-folder", "weights.pth"]
    remove_abandoned(tmp_path / "missing")
