"""Networks converted for OpenVINO, stored on disk so that each is converted once.

Each converted network has a folder, whose name states the weights, the release of OpenVINO and the revision of the
conversion. Weights are stored and networks are run in float32.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import openvino

from ..atomic_files import remove_abandoned, replace_atomically
from ..environment import cache_folder, child_environment
from ..models.checkpoints import NetworkFile

_CONVERSION = "MedSAMSlicerLib.engine.jobs.convert_openvino"
# Raise this number if the conversion changes.
REVISION = 2
ENCODER, DECODER = "encoder.xml", "decoder.xml"


def converted_folder(identity: str, convert: Callable[[Path], None], folder: Path | None = None) -> Path:
    """Folder with the converted encoder and decoder, which are converted first if they are missing.

    Args:
        identity: name of the weights, in characters that file names may have.
        convert: writes encoder and decoder into the empty folder that it is given.
        folder: folder of converted networks; by default ``openvino`` in the cache folder.
    """
    final = kept_folder(identity, folder)
    folder = final.parent
    if not is_complete(final):
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        try:
            with replace_atomically(final) as part:
                part.mkdir()
                convert(part)
                if not is_complete(final):
                    discard(final)
        except OSError:
            # Another process may have been faster: its conversion serves as well.
            if not is_complete(final):
                raise
    return final


def kept_folder(identity: str, folder: Path | None = None) -> Path:
    """Path of a converted network, which may not exist yet; arguments as for `converted_folder`."""
    folder = folder or cache_folder() / "openvino"
    return folder / f"{identity}-r{REVISION}-{openvino.get_version().split('-')[0]}"


def is_complete(folder: Path) -> bool:
    """Whether all files of a converted network exist."""
    return all(
        (folder / name).with_suffix(ending).is_file() for name in (ENCODER, DECODER) for ending in (".xml", ".bin")
    )


def discard(folder: Path) -> None:
    """Remove a damaged converted network, so that it is converted again."""
    shutil.rmtree(folder, ignore_errors=True)


def convert_in_process(network: NetworkFile, folder: Path) -> None:
    """Convert a network of the catalogue in a process of its own, which ends with this one.

    The conversion imports torch and takes up to a minute and a gigabyte of memory, once; running the result needs
    neither.

    Args:
        network: weights of a model in the catalogue; the other process verifies the file once more.
        folder: an empty folder to write encoder and decoder to.

    Raises:
        RuntimeError: the conversion failed; the message says why in one line.
    """
    command = [sys.executable, "-m", _CONVERSION, "--attached", "--model", network.spec.key]
    command += ["--weights", str(network.path.resolve()), "--output", str(folder.resolve())]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=child_environment(),
            # On Windows a console would open.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        # The standard input stays open meanwhile: the job is cancelled when it ends.
        lines = process.stdout.read().splitlines()
        process.stdin.close()
        process.wait()
        last = json.loads(lines[-1]) if lines else {}
        if last.get("kind") == "done":
            return
        errors.seek(0)
        output = errors.read().decode(errors="replace").strip().splitlines() or [f"status {process.returncode}"]
    raise RuntimeError(f"the conversion failed: {last.get('message', output[-1])}")
