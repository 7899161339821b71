"""Start time until a model is loaded, and peak memory, each measured in new processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from . import ROOT
from .alternation import quartiles

_PATHS = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "MedSAMSlicer")])

# Prints the seconds of importing torch, if it is needed, and the time at which the model was loaded.
_READY = """
import json, sys, time
from MedSAMSlicerLib.engine.environment import return_memory, share_processor
share_processor()
return_memory()
begin = time.perf_counter()
if sys.argv[1] == "torch":
    import torch
imported = time.perf_counter() - begin
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.model_choice import ModelChoice
SegmentationService().load(ModelChoice(device="cpu", runtime=sys.argv[1]))
print(json.dumps({"imported": imported, "ready": time.time()}))
"""

_PEAK = """
import json, resource, sys, time
from MedSAMSlicerLib.engine.environment import return_memory, share_processor
share_processor()
return_memory()
import numpy as np
from MedSAMSlicerLib.engine.inference.embedding_cache import DEFAULT_BYTES
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.stack import ArrayStack
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window

def memory(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6

voxels = np.random.default_rng(0).integers(-1000, 1000, (160, 512, 512)).astype(np.int16)
stack = ArrayStack(voxels, (0.7, 0.7, 3.0), "K")
source = WindowedStack(stack, choose_window("lung", stack, "CT"))
volume = voxels.nbytes / 1e6
before = memory("VmRSS")
service = SegmentationService()
choice = ModelChoice(device="cpu", runtime=sys.argv[1])
service.load(choice)
# Fill the cache. Memory counts once it is written to.
cache = service._cache
for n in range(DEFAULT_BYTES // (4 << 20)):
    cache.put(str(n), np.ones((256, 64, 64), np.float32))
for _ in service.segment(choice, source, StackPrompt.from_box3d(70, 79, Box(150, 160, 330, 350)), RunInfo()):
    pass
print(json.dumps({"above the volume": memory("VmHWM") - volume, "embeddings": cache.used_bytes / 1e6}))
"""


def cold_starts(rounds: int) -> dict[str, Any]:
    """Seconds from the start of a process until the model is loaded, without those of importing torch."""
    seconds: dict[str, list[float]] = {"torch": [], "openvino": []}
    imports = []
    for n in range(rounds + 1):
        for runtime, found in seconds.items():
            begin = time.time()
            measured = _run(_READY, runtime)
            # Not in the first round, which reads files from disk.
            if n:
                found.append(measured["ready"] - begin - measured["imported"])
                if runtime == "torch":
                    imports.append(measured["imported"])
    return {
        **{f"ready with {runtime}, beyond importing torch": quartiles(found) for runtime, found in seconds.items()},
        "importing torch": quartiles(imports),
    }


def peak_memory() -> dict[str, Any] | None:
    """Peak memory, in 10^6 bytes and without the volume, of a process that segments ten slices with a full cache.

    None on systems other than Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    return {runtime: _run(_PEAK, runtime) for runtime in ("openvino", "torch")}


def _run(script: str, runtime: str) -> dict[str, float]:
    command = [sys.executable, "-c", script, runtime]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_PATHS, os.environ.get("PYTHONPATH")]))}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))
