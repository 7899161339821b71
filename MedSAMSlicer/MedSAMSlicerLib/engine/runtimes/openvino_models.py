"""Networks converted for OpenVINO, kept on disk so that each is converted once.

A converted network lies in a folder of its own whose name says what it was made of: weights, release of OpenVINO, and
revision of the conversion. Its numbers are float32; the precision to compute in is chosen when it is made ready to run. The folder gets its name only when it is complete, so neither a crash nor a
second process can leave half of one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from ..environment import cache_folder

# Raise it when what is converted, or how, changes.
REVISION = 2
ENCODER, DECODER = "encoder.xml", "decoder.xml"
_PART = ".part-"
_ABANDONED_SECONDS = 6 * 3600.0
"""A conversion that was begun so long ago is nobody's any more: its process has died. The largest take minutes."""


def converted_folder(identity: str, convert: Callable[[Path], None], folder: Path | None = None) -> Path:
    """Folder with the converted encoder and decoder; has them converted if they are not there.

    Args:
        identity: of the weights, in characters that a file name may have.
        convert: writes them into the empty folder that it is given.
        folder: where converted networks are kept (default: ``openvino`` in the cache folder).
    """
    final = kept_folder(identity, folder)
    folder = final.parent
    if not is_complete(final):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_PART) as temporary:
            part = Path(temporary, "converted")
            part.mkdir()
            convert(part)
            for path in part.iterdir():
                _flush(path)
            _put_in_place(part, final)
    return final


def kept_folder(identity: str, folder: Path | None = None) -> Path:
    """Where the converted network lies, or will; arguments as of `converted_folder`."""
    folder = folder or cache_folder() / "openvino"
    return folder / f"{identity}-r{REVISION}-{openvino.get_version().split('-')[0]}"


def is_complete(folder: Path) -> bool:
    """Whether all files of a converted network are there."""
    return all(
        (folder / name).with_suffix(ending).is_file() for name in (ENCODER, DECODER) for ending in (".xml", ".bin")
    )


def discard(folder: Path) -> None:
    """Remove a converted network that cannot be used, so that it is converted again."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for part in folder.glob(f"{_PART}*"):
        # Another process may remove it at the same time.
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(part)


def _flush(path: Path) -> None:
    """Have the system store the file now: after a power failure a name without its content would be half a file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _put_in_place(part: Path, final: Path) -> None:
    if final.exists() and not is_complete(final):
        discard(final)
    try:
        os.rename(part, final)
    except OSError:
        # Another process was faster: its conversion is as good as ours.
        if not is_complete(final):
            raise


def compile_network(path: Path, threads: int, precision: str) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Make a converted network ready to run on the CPU.

    Args:
        threads: processor threads that it may take.
        precision: "float32" or "bfloat16".

    Returns:
        A function from input arrays to output arrays, which are its own copies.
    """
    core = openvino.Core()
    compiled = core.compile_model(
        str(path),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned threads wait for their core when another process has it.
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    outputs = range(len(compiled.outputs))

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        request.infer(dict(enumerate(inputs)))
        return [request.get_output_tensor(n).data.copy() for n in outputs]

    return run
