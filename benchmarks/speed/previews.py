"""A preview through the pipes of the inference process, as the effect asks for it: from a cached embedding."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.scene.worker.transports import (
    SubprocessTransport,
    TransportListener,
    worker_command,
    worker_environment,
)
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient

from .cases import BOX, CHOICE, stack_of
from .turns import spread

LONGEST = 300.0


class CountingTransport:
    """A transport that counts what goes through it."""

    def __init__(self, service: str | None) -> None:
        folder = Path(__file__).resolve().parents[1]
        self._inner = SubprocessTransport(worker_command(service), worker_environment([folder]))
        self.written = self.read = 0

    def start(self, listener: TransportListener) -> None:
        def counted(data: bytes) -> None:
            self.read += len(data)
            listener.on_bytes(data)

        self._inner.start(TransportListener(counted, listener.on_stderr, listener.on_exit))

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._inner.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def preview_times(repeats: int) -> dict[str, Any]:
    """From a moved rectangle to its mask, by turns with the real engine and with one that answers at once.

    Windowing the slice counts, drawing the mask does not (bench_effect.py: the whole way in the effect).
    """
    source = stack_of(30)
    ways: dict[str, CountingTransport] = {
        "mouse to mask": CountingTransport(None),
        "pipes alone": CountingTransport("speed.prompt_service:PromptService"),
    }
    links = {name: WorkerClient(lambda transport=transport: transport) for name, transport in ways.items()}
    try:
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for link in links.values():
            _preview(link, source, BOX)
        first = {name: (transport.written, transport.read) for name, transport in ways.items()}
        for n in range(repeats):
            box = Box(BOX.x0 + n % 8, BOX.y0, BOX.x1, BOX.y1 + n % 8)
            for name, link in links.items():
                begin = time.perf_counter()
                _preview(link, source, box)
                seconds[name].append(time.perf_counter() - begin)
        found: dict[str, Any] = {
            name: {**spread(some), "p95": float(np.percentile(some, 95))} for name, some in seconds.items()
        }
        for name, transport in ways.items():
            written, read = first[name]
            found[name]["bytes sent"] = (transport.written - written) / repeats
            found[name]["bytes received"] = (transport.read - read) / repeats
        return found
    finally:
        for link in links.values():
            link.close()


def _preview(link: WorkerClient, source: Any, box: Box) -> Prediction:
    answers: list[Prediction] = []
    failed: list[Exception] = []
    link.preview(CHOICE, source.slice_uint8(20), box, answers.append, failed.append)
    end = time.monotonic() + LONGEST
    while not answers:
        if failed:
            raise failed[0]
        if time.monotonic() > end:
            raise TimeoutError("a preview was not answered")
        link.step(0.05)
    return answers[0]
