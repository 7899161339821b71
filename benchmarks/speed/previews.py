"""A preview through the pipes of the inference process, as the effect asks for it: from a cached embedding."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.scene.worker.transport import worker_command
from support.subprocess_client import SubprocessClient, SubprocessTransport

from .cases import BOX, CHOICE, stack_of
from .turns import spread

BENCHMARKS = Path(__file__).resolve().parents[1]
LONGEST = 300.0


def preview_times(repeats: int) -> dict[str, Any]:
    """From a moved rectangle to its mask, by turns with the real engine and with one that answers at once.

    Windowing the slice counts, drawing the mask does not (bench_effect.py: the whole way in the effect).
    """
    source = stack_of(30)
    transports = {
        "mouse to mask": SubprocessTransport(worker_command()),
        "pipes alone": SubprocessTransport(worker_command("speed.prompt_service:PromptService"), BENCHMARKS),
    }
    clients = {name: SubprocessClient(lambda transport=transport: transport) for name, transport in transports.items()}
    try:
        seconds: dict[str, list[float]] = {name: [] for name in transports}
        for client in clients.values():
            _preview(client, source, BOX)
        first = {name: (transport.written, transport.read) for name, transport in transports.items()}
        for n in range(repeats):
            box = Box(BOX.x0 + n % 8, BOX.y0, BOX.x1, BOX.y1 + n % 8)
            for name, client in clients.items():
                begin = time.perf_counter()
                _preview(client, source, box)
                seconds[name].append(time.perf_counter() - begin)
        found: dict[str, Any] = {
            name: {**spread(some), "p95": float(np.percentile(some, 95))} for name, some in seconds.items()
        }
        for name, transport in transports.items():
            written, read = first[name]
            found[name]["bytes sent"] = (transport.written - written) / repeats
            found[name]["bytes received"] = (transport.read - read) / repeats
        return found
    finally:
        for client in clients.values():
            client.close()


def _preview(client: SubprocessClient, source: Any, box: Box) -> Prediction:
    answers: list[Prediction] = []
    failed: list[Exception] = []
    client.preview(CHOICE, source.slice_uint8(20), box, answers.append, failed.append)
    end = time.monotonic() + LONGEST
    while not answers:
        if failed:
            raise failed[0]
        if time.monotonic() > end:
            raise TimeoutError("a preview was not answered")
        client.step()
    return answers[0]
