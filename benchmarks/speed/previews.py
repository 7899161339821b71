"""Time of a preview through the pipes of an inference process, as in the effect: with a cached embedding."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.scene.worker.transport import worker_command
from support.subprocess_client import SubprocessClient, SubprocessTransport

from .alternation import quartiles
from .cases import BOX, CHOICE, demo_stack

BENCHMARKS = Path(__file__).resolve().parents[1]
TIMEOUT = 300.0


def time_previews(repeats: int) -> dict[str, Any]:
    """Seconds from a moved rectangle to its mask, alternately with LiteMedSAM and with a service that responds at once.

    As in the effect, the slice is read and sent once. Drawing of the mask is not included; bench_effect.py measures previews
    in the effect.
    """
    image = demo_stack(30).slice_uint8(20)
    transports = {
        "mouse to mask": SubprocessTransport(worker_command()),
        "pipes alone": SubprocessTransport(worker_command("speed.prompt_service:PromptService"), BENCHMARKS),
    }
    clients = {name: SubprocessClient(lambda transport=transport: transport) for name, transport in transports.items()}
    try:
        seconds: dict[str, list[float]] = {name: [] for name in transports}
        for client in clients.values():
            _preview(client, image, BOX)
        first = {name: (transport.written, transport.read) for name, transport in transports.items()}
        for n in range(repeats):
            box = Box(BOX.x0 + n % 8, BOX.y0, BOX.x1, BOX.y1 + n % 8)
            for name, client in clients.items():
                begin = time.perf_counter()
                _preview(client, image, box)
                seconds[name].append(time.perf_counter() - begin)
        table: dict[str, Any] = {
            name: {**quartiles(values), "p95": float(np.percentile(values, 95))} for name, values in seconds.items()
        }
        for name, transport in transports.items():
            written, read = first[name]
            table[name]["bytes sent"] = (transport.written - written) / repeats
            table[name]["bytes received"] = (transport.read - read) / repeats
        return table
    finally:
        for client in clients.values():
            client.close()


def _preview(client: SubprocessClient, image: np.ndarray, box: Box) -> Prediction:
    predictions: list[Prediction] = []
    errors: list[Exception] = []
    client.preview(CHOICE, image, box, predictions.append, errors.append)
    end = time.monotonic() + TIMEOUT
    while not predictions:
        if errors:
            raise errors[0]
        if time.monotonic() > end:
            raise TimeoutError(f"no preview within {TIMEOUT:g} s")
        client.step()
    return predictions[0]
