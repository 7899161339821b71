#!/usr/bin/env python3
"""Time per slice and memory of every model on the processor of this computer, with each runtime.

    python benchmarks/bench_families.py [--models KEY ...] [--repeats N]

Time and memory do not depend on the weights, so random weights are used and no model has to be downloaded. Each runtime
is measured in a new process. The conversion for OpenVINO, which happens once and which LiteMedSAM does not need, is measured
separately.
Writes families.json to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "MedSAMSlicer")]

from MedSAMSlicerLib.engine.environment import computing_threads  # noqa: E402
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, find_model  # noqa: E402
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt  # noqa: E402
from MedSAMSlicerLib.engine.runtimes.runtime import Runtime  # noqa: E402

# ru_maxrss is in KiB on Linux, in bytes on macOS.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
SIDE = 512
BOX = Box(150, 160, 330, 350)


def peak_mb() -> float:
    """Peak memory of this process in 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / 1e6


def network_of(key: str) -> Any:
    """Network of a model with small random weights."""
    import torch

    family = find_model(key).load_family()
    network = family.build_network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.02, 0.02)
    family.fold(network)
    return network.eval().requires_grad_(False)


def convert_to(key: str, folder: Path) -> dict[str, float]:
    """Convert a model for OpenVINO; return seconds and peak memory."""
    import torch

    from MedSAMSlicerLib.engine.jobs.convert_openvino import convert

    torch.set_num_threads(computing_threads())
    network = network_of(key)
    begin = time.perf_counter()
    convert(network, find_model(key).load_family().input_size, folder)
    return {"seconds": time.perf_counter() - begin, "peak_mb": peak_mb()}


def torch_runtime(key: str) -> Runtime:
    import torch

    from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime

    torch.set_num_threads(computing_threads())
    return TorchRuntime(network_of(key), "cpu")


def openvino_runtime(key: str, folder: Path) -> Runtime:
    """OpenVINO with random weights, or with the network that `convert_to` has written to `folder`."""
    family = find_model(key).load_family()
    if family.tensor_table is None:
        from MedSAMSlicerLib.engine.runtimes.openvino_converted import ConvertedRuntime

        def move(into: Path) -> None:
            for file in [file for file in folder.iterdir() if file.is_file()]:
                file.rename(into / file.name)

        return ConvertedRuntime(key, move, lambda: torch_runtime(key), computing_threads(), folder / "kept")
    from MedSAMSlicerLib.engine.models.weight_arrays import read_table
    from MedSAMSlicerLib.engine.runtimes.openvino_runtime import OpenVINORuntime

    random = np.random.default_rng(0)
    arrays = {
        one.name: random.uniform(0, 0.04, one.shape).astype(np.float32) for one in read_table(family.tensor_table)
    }
    return OpenVINORuntime(arrays, family.input_size, computing_threads())


def run_with(key: str, runtime_name: str, folder: Path, repeats: int) -> dict[str, float]:
    """Run a model; return median seconds of encoder and decoder, and peak memory."""
    family = find_model(key).load_family()
    runtime = torch_runtime(key) if runtime_name == "torch" else openvino_runtime(key, folder)
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    prompt = family.network_prompt(SlicePrompt(box=BOX), SIDE, SIDE)
    encode, decode = [], []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        prepared = family.prepare(image)
        embedding = runtime.encode(prepared)
        middle = time.perf_counter()
        logits, _ious = runtime.decode(embedding, [prompt])
        family.slice_masks(logits[0, :1], SIDE, SIDE)
        encode.append(middle - begin)
        decode.append(time.perf_counter() - middle)
    return {"encode": float(np.median(encode[1:])), "decode": float(np.median(decode[1:])), "peak_mb": peak_mb()}


def in_new_process(*arguments: str) -> dict[str, float]:
    """Result of one measurement in a new process."""
    command = [sys.executable, __file__, "--one", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(CATALOGUE), metavar="KEY")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--one", nargs=4, metavar=("WHAT", "KEY", "FOLDER", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, key, folder, repeats = options.one
        found = convert_to(key, Path(folder)) if what == "convert" else run_with(key, what, Path(folder), int(repeats))
        print(json.dumps(found))
        return 0
    table: dict[str, Any] = {"threads": computing_threads()}
    for key in options.models:
        with tempfile.TemporaryDirectory() as folder:
            table[key] = {
                what: in_new_process(what, key, folder, str(options.repeats))
                for what in ("torch", "convert", "openvino")
                if what != "convert" or find_model(key).load_family().tensor_table is None
            }
        print(key, json.dumps(table[key]), flush=True)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "families.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
