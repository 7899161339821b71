"""Has a model converted for OpenVINO in a process of its own.

It takes torch, a gigabyte of memory and up to a minute, once; who runs a converted network needs none of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ..environment import child_environment

_MODULE = "MedSAMSlicerLib.engine.jobs.convert_openvino"


def convert_apart(key: str, weights: Path, folder: Path) -> None:
    """Write encoder and decoder of a model of the catalogue into an empty folder.

    The other process ends with this one, so that nothing goes on after a cancellation.

    Args:
        key: of the model.
        weights: its file, which is verified once more.

    Raises:
        RuntimeError: it failed; the message says why in one line.
    """
    command = [sys.executable, "-m", _MODULE, "--attached", "--model", key]
    command += ["--weights", str(weights.resolve()), "--output", str(folder.resolve())]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=child_environment(),
            # A console would flash up beside a program that has none.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        # Its standard input stays open until it is done: an end of it means to cancel.
        lines = process.stdout.read().splitlines()
        process.stdin.close()
        process.wait()
        last = json.loads(lines[-1]) if lines else {}
        if last.get("kind") == "done":
            return
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip().splitlines() or [f"status {process.returncode}"]
    raise RuntimeError(f"the conversion failed: {last.get('message', said[-1])}")
