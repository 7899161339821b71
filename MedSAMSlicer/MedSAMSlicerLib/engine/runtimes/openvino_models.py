"""Networks converted for OpenVINO, kept on disk so that each is converted once.

A converted network lies in a folder of its own whose name says what it was made of: weights, release of OpenVINO, and
revision of the conversion. Its numbers are float32; the precision to compute in is chosen when it is made ready to run. The folder gets its name only when it is complete, so neither a crash nor a
second process can leave half of one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino

from ..atomic_files import remove_abandoned, replace_atomically
from ..environment import cache_folder, child_environment
from ..models.checkpoints import NetworkFile

_CONVERSION = "MedSAMSlicerLib.engine.jobs.convert_openvino"
# Raise it when what is converted, or how, changes.
REVISION = 2
ENCODER, DECODER = "encoder.xml", "decoder.xml"


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
