"""Times one slice on every device of this computer and compares the masks with that of PyTorch on the processor.

    python -m MedSAMSlicerLib.engine.jobs.device_check [--model KEY | --list]

Lines, besides those of `engine.jobs.job`: ``started`` with the ``backends``, each a ``device`` and a ``runtime``; ``result``
with the fields of `BackendResult`; ``fastest`` with ``device`` and ``runtime``, or null if no result can be used. With
``--list`` there is one line, ``devices``, with the devices that exist, the fastest first: PyTorch has to be imported to
find them.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..diagnostics.log import get_logger, log_error
from ..environment import lower_priority, share_processor
from ..errors import as_user_error
from ..masks import dice
from ..model_choice import ModelChoice, Service
from ..models.catalogue import DEFAULT_MODEL, find_model
from ..models.weights import find_weights, verify_weights
from ..results import Prediction
from ..runtimes.check_image import phantom_slice
from .job import SendLine, add_attached, run_job

_log = get_logger("MedSAMSlicerLib.engine.jobs.device_check")
REFERENCE = ("cpu", "torch")
LEAST_DICE = 0.99
"""Rounding changes single pixels at the edge of a mask; a faulty driver gives another shape, or an empty mask."""
LARGEST_IOU_DIFFERENCE = 0.02
REPEATS = 3
_ENOUGH_SECONDS = 4.0

Backend = tuple[str, str]
"""A device ("cpu", "cuda" or "mps") and a runtime ("torch" or "openvino")."""


@dataclass(frozen=True)
class BackendResult:
    """Result of one backend.

    Attributes:
        device: "cpu", "cuda" or "mps".
        runtime: "torch" or "openvino".
        name: name that the hardware reports.
        seconds: shortest of a few times for one slice, encoder and decoder; None if it failed.
        dice: Dice coefficient of its mask and the reference's, 0..1; None if it failed or there is no reference.
        agrees: whether its result may be used.
        message: why it may not be used, in one line, or ''.
    """

    device: str
    runtime: str
    name: str
    seconds: float | None
    dice: float | None
    agrees: bool
    message: str = ""


def list_backends(devices: Sequence[str], openvino: bool) -> list[Backend]:
    """Backends of this computer, the reference first.

    Args:
        devices: as returned by `available_devices`.
        openvino: whether OpenVINO is installed; it runs on the processor.
    """
    others = [(device, "torch") for device in devices if device != REFERENCE[0]]
    return [REFERENCE, *([("cpu", "openvino")] if openvino else []), *others]


def check_backends(
    model: str, backends: Sequence[Backend], make_service: Callable[[], Service], name_of: Callable[[str], str]
) -> Iterator[BackendResult]:
    """Segment the check slice with each backend.

    Args:
        model: key in the catalogue.
        backends: as returned by `list_backends`; the first one is the reference.
        make_service: returns a service that caches no embeddings, so that each run encodes. It is called once for each
            backend, so that the memory of the previous one is free.
        name_of: returns the name that the hardware of a device reports.
    """
    image, box = phantom_slice()
    reference: Prediction | None = None
    for device, runtime in backends:
        service = make_service()
        choice = ModelChoice(model, device=device, runtime=runtime)
        try:
            service.load(choice)
            prediction, seconds = _timed(lambda: service.preview(choice, image, box))  # noqa: B023 - called at once
            if service.load(choice).device != device:
                # The service has fallen back to the processor.
                raise MemoryError(f"{device} has not enough memory")
        except Exception as error:
            failure = as_user_error(error)
            log_error(_log, failure, "the check of %s with %s failed", device, runtime)
            yield BackendResult(device, runtime, name_of(device), None, None, False, str(failure))
            continue
        if (device, runtime) == REFERENCE:
            reference = prediction
        overlap, agrees = _compared(prediction, reference)
        yield BackendResult(
            device, runtime, name_of(device), seconds, overlap, agrees, _refusal(reference, overlap, agrees)
        )


def fastest(results: Sequence[BackendResult]) -> Backend | None:
    """The fastest backend whose result agrees with the reference, or None."""
    usable = [result for result in results if result.agrees and result.seconds is not None]
    best = min(usable, key=lambda result: result.seconds or 0.0, default=None)
    return None if best is None else (best.device, best.runtime)


def seconds_per_slice(service: Service, choice: ModelChoice) -> float:
    """Shortest time to encode and decode the check slice, in seconds. `service` caches no embeddings."""
    image, box = phantom_slice()
    return _timed(lambda: service.preview(choice, image, box))[1]


def _timed(run: Callable[[], Prediction]) -> tuple[Prediction, float]:
    """The result of `run` and its shortest time in seconds. The first run is not timed, because devices warm up."""
    begin = time.perf_counter()
    prediction = run()
    times: list[float] = []
    while len(times) < REPEATS and (not times or time.perf_counter() - begin < _ENOUGH_SECONDS):
        start = time.perf_counter()
        prediction = run()
        times.append(time.perf_counter() - start)
    return prediction, min(times)


def _compared(found: Prediction, reference: Prediction | None) -> tuple[float | None, bool]:
    if reference is None:
        return None, False
    overlap = dice(found.mask, reference.mask)
    difference = abs(found.predicted_iou - reference.predicted_iou)
    # Two empty masks are equal but prove nothing; a comparison with not-a-number is False.
    usable = bool(found.mask.any() and np.isfinite(found.low_res_logits).all())
    return overlap, usable and overlap >= LEAST_DICE and difference <= LARGEST_IOU_DIFFERENCE


def _refusal(reference: Prediction | None, overlap: float | None, agrees: bool) -> str:
    if agrees:
        return ""
    if reference is None:
        return "the processor failed, so that this result cannot be checked: choose the device cpu"
    if not reference.mask.any():
        return "the processor finds nothing on the check slice: verify the model's weights"
    return f"its mask differs from the processor's (Dice {overlap:.3f}): do not use this device"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_attached(parser)
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="KEY")
    parser.add_argument("--list", action="store_true", help="list the devices and check nothing")
    options = parser.parse_args(arguments)
    return run_job(_list if options.list else lambda send: _check(options.model, send), options.attached)


def _list(send: SendLine) -> None:
    from ..runtimes.devices import available_devices

    send("devices", devices=available_devices())


def _check(model: str, send: SendLine) -> None:
    spec = find_model(model)
    # Missing or wrong weights have nothing to do with devices: report them once, before torch is imported.
    verify_weights(spec, find_weights(spec))

    # As in the inference process, so that the times are the same.
    share_processor()
    lower_priority()
    from ..runtimes.devices import available_devices, name_of_device
    from ..serving.service import SegmentationService

    backends = list_backends(available_devices(), openvino=importlib.util.find_spec("openvino") is not None)
    send("started", backends=[{"device": device, "runtime": runtime} for device, runtime in backends])
    results = []
    for result in check_backends(model, backends, lambda: SegmentationService(cache_bytes=0), name_of_device):
        results.append(result)
        send("result", **asdict(result))
    device, runtime = fastest(results) or (None, None)
    send("fastest", device=device, runtime=runtime)


if __name__ == "__main__":
    sys.exit(main())
