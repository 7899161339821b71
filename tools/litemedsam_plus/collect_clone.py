"""Files of a git repository as one commit has them, without a network.

They come from git's own store, so clones with and without a work tree do, and nothing that was changed in a work tree
counts.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from MedSAMSlicerLib.engine.errors import MedSAMError


@dataclass(frozen=True)
class Clone:
    """A clone, and the commit of it that is read.

    Attributes:
        folder: the work tree or, of a bare clone, the git directory.
        commit: all 40 digits.
    """

    folder: Path
    commit: str

    def names(self, folder: str) -> list[str]:
        """Paths of the folders directly in ``folder`` of the repository, sorted as git sorts."""
        listing = _git(self.folder, "ls-tree", "-d", "-z", "--name-only", self.commit, f"{folder}/")
        return [name for name in listing.decode().split("\0") if name]

    @contextmanager
    def files(self, *paths: str) -> Iterator[Path]:
        """A temporary folder with the files and folders ``paths``, under the same paths.

        Raises:
            MedSAMError: the commit has no such path.
        """
        # Texts as they were committed: elsewhere git may be set to write Windows' line ends. A zip archive, because `tarfile` unpacks
        # safely only from Python 3.10.12 and 3.11.4 on.
        packed = _git(self.folder, "-c", "core.autocrlf=false", "archive", "--format=zip", self.commit, "--", *paths)
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                archive.extractall(folder)
            yield Path(folder)


def find_clone(folder: Path, repository: str, commit: str) -> Clone:
    """The clone of ``repository`` in ``folder``.

    Args:
        folder: holds the clones, each named ``OWNER+NAME`` or ``NAME``, with or without ``.git``.
        repository: ``OWNER/NAME`` on GitHub.
        commit: all 40 digits.

    Raises:
        MedSAMError: there is none, or it lacks the commit; the message has the command that helps.
    """
    url, whole = f"https://github.com/{repository}.git", repository.replace("/", "+")
    candidates = [folder / f"{name}{end}" for name in (whole, repository.split("/")[1]) for end in ("", ".git")]
    there = [candidate for candidate in candidates if candidate.is_dir()]
    if not there:
        raise MedSAMError(
            f"{folder} has no clone of {repository}. Make one with: git clone --bare {url} {folder / whole}"
        )
    for candidate in there:
        if _has_commit(candidate, commit):
            return Clone(candidate, commit)
    raise MedSAMError(
        f"{there[0]} has no commit {commit} of {repository}. If it is a clone of that repository, fetch the commit "
        f"with: git -C {there[0]} fetch {url} {commit}"
    )


def _has_commit(folder: Path, commit: str) -> bool:
    return _run(folder, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _git(folder: Path, *arguments: str) -> bytes:
    ended = _run(folder, *arguments)
    if ended.returncode:
        raise MedSAMError(f"git could not read {folder}: {ended.stderr.decode(errors='replace').strip()}")
    return ended.stdout


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # Only this folder, not a repository that it may lie in; and a partial clone must not download what it left out.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.absolute().parent), "GIT_NO_LAZY_FETCH": "1"}
    command: Sequence[str] = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise MedSAMError("git is not installed, or not on the PATH. Install it from https://git-scm.com.") from error
