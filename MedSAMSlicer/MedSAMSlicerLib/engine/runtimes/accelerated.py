"""PyTorch on a graphics device: in half precision where that holds, in batches as large as its memory allows."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..environment import computing_threads
from ..errors import is_out_of_memory, one_line
from ..log import get_logger
from ..models.checkpoints import NetworkFile
from .device_memory import DeviceMemory
from .half_precision import REVISION, CheckAnswer, HalfVerdict, KeptVerdicts, check_answer, judge
from .torch_runtime import TorchRuntime

_log = get_logger(__name__)
HALF = "float16"


def accelerated_runtime(
    file: NetworkFile, device: str, device_name: str, memory: DeviceMemory, half: str = HALF
) -> tuple[TorchRuntime, list[str]]:
    """A runtime, and lines that the user should read; more are added when its memory is not enough.

    Args:
        device: "cuda" or "mps".
        device_name: what the hardware calls itself: on another one half precision is checked again.
        memory: of the device.
        half: the lower precision to try; one of `PRECISIONS`.
    """
    # TensorFloat-32, PyTorch's default for convolutions, has the digits of float16: nothing to compare that with.
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(computing_threads())
    notes: list[str] = []

    def on_device(precision: str) -> TorchRuntime:
        return TorchRuntime(file.build(), device, precision, memory, notes)

    verdicts = KeptVerdicts()
    subject = f"r{REVISION}|{file.spec.key}|{file.sha256}|{torch.__version__}|{device}|{device_name}|{half}"
    verdict, runtime = verdicts.get(subject), None
    if verdict is None:
        # One after the other, so that the device holds one network at a time.
        full = check_answer(on_device("float32"), file.family)
        verdict, runtime = _tried(full, lambda: on_device(half), file)
        verdicts.put(subject, verdict)
    precision = "half" if verdict.holds else "single"
    notes.insert(0, f"Encoder in {precision} precision on {device_name} ({verdict.reason})")
    return runtime or on_device(half if verdict.holds else "float32"), notes


def _tried(
    full: CheckAnswer, make: Callable[[], TorchRuntime], file: NetworkFile
) -> tuple[HalfVerdict, TorchRuntime | None]:
    """The verdict, and the runtime in half precision if it holds."""
    try:
        runtime = make()
        verdict = judge(full, check_answer(runtime, file.family))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # An operation that the device does not have in half precision.
        _log.warning("half precision fails", exc_info=error)
        return HalfVerdict(False, f"half precision fails: {one_line(str(error), 150)}"), None
    return verdict, runtime if verdict.holds else None
