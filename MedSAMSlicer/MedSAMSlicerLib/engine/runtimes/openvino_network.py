"""Networks that OpenVINO has compiled for a device."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from weakref import WeakSet

import numpy as np
import openvino
from openvino import Model

KEPT_SIZES = 3
"""Networks that `NetworkSizes` keeps. Each takes 50 MB for LiteMedSAM's encoder, and half a second to compile."""


@cache
def core() -> openvino.Core:
    """OpenVINO's entry point, which loads the code for a device when that is first used."""
    return openvino.Core()


class CompiledNetwork:
    """A network that is ready to run. May be called in several threads.

    On the processor memory for intermediate results is taken anew for each run: 82 MB of LiteMedSAM's encoder, at 4 to 8 % of its time,
    and 35 MB of each decoder, which would double its time: several answers follow each other.

    Args:
        network: the network, or the .xml file that holds it.
        threads: number of processor threads.
        device: OpenVINO's name of the device.
        precision: "f32", "bf16" or "f16"; None leaves it to the device.
        keeps_memory: keep that memory until another network runs that does not keep it.

    Raises:
        RuntimeError: OpenVINO cannot compile it.
    """

    def __init__(
        self,
        network: Model | Path,
        threads: int,
        device: str = "CPU",
        precision: str | None = "f32",
        keeps_memory: bool = False,
    ) -> None:
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
        if precision is not None:
            options["INFERENCE_PRECISION_HINT"] = precision
        if device == "CPU":
            # Pinned threads would wait for their core while another process uses it.
            options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        self._keeps_memory = keeps_memory or device != "CPU"
        given = str(network) if isinstance(network, Path) else network
        self._compiled = core().compile_model(given, device, options)
        self._request = self._compiled.create_infer_request()
        self._lock = threading.Lock()
        if keeps_memory:
            with _keeping_lock:
                _keeping.add(self)

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the network on one array for each input. Returns a new array for each output."""
        if not self._keeps_memory:
            with _keeping_lock:
                others = list(_keeping)
            for other in others:
                other.release()
        with self._lock:
            self._request.infer(dict(enumerate(inputs)), share_inputs=True)
            outputs = [self._request.get_output_tensor(n).data.copy() for n in range(len(self._compiled.outputs))]
            if not self._keeps_memory:
                self._compiled.release_memory()
            return outputs

    def release(self) -> None:
        """Give the memory for intermediate results back."""
        with self._lock:
            self._compiled.release_memory()


_keeping: WeakSet[CompiledNetwork] = WeakSet()
"""Networks that may hold memory for intermediate results until an encoder runs on the processor."""
_keeping_lock = threading.Lock()


class NetworkSizes:
    """Networks for the sizes of image that were used last, compiled when they are first needed. May be called in several threads.

    Args:
        compiled: compiles the network for a size.
    """

    def __init__(self, compiled: Callable[[int, int], CompiledNetwork]) -> None:
        self._compile = compiled
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], CompiledNetwork] = OrderedDict()

    def run(self, height: int, width: int, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the network for images of this size; see `CompiledNetwork`."""
        with self._lock:
            return self._of((height, width))(inputs)

    def _of(self, size: tuple[int, int]) -> CompiledNetwork:
        if size not in self._kept:
            if len(self._kept) == KEPT_SIZES:
                self._kept.popitem(last=False)
            self._kept[size] = self._compile(*size)
        self._kept.move_to_end(size)
        return self._kept[size]
