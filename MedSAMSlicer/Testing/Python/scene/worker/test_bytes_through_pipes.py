"""What crosses the pipes of the inference process: each slice once, each result packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.scene.worker.transports import (
    SubprocessTransport,
    TransportListener,
    worker_command,
    worker_environment,
)
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.threshold_service import ImageStack
from support.worker_runs import CHOICE, drive, run

FOLDER = Path(__file__).parents[2]
SIDE = 512
SMALL_TALK = 2048
"""Bytes of a message besides its arrays."""


class CountingTransport:
    """A transport that counts what goes through it."""

    def __init__(self, inner: SubprocessTransport) -> None:
        self._inner = inner
        self.written = self.read = 0

    def start(self, listener: TransportListener) -> None:
        def counted(data: bytes) -> None:
            self.read += len(data)
            listener.on_bytes(data)

        self._inner.start(TransportListener(counted, listener.on_stderr, listener.on_exit))

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._inner.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.fixture
def counted() -> Iterator[tuple[WorkerClient, list[CountingTransport]]]:
    """A link to a process, and its transport once there is one."""
    made: list[CountingTransport] = []

    def make() -> CountingTransport:
        command = worker_command("support.threshold_service:ThresholdService")
        made.append(CountingTransport(SubprocessTransport(command, worker_environment([FOLDER]))))
        return made[-1]

    link = WorkerClient(make)  # type: ignore[arg-type]
    yield link, made
    link.close()


def stack(slices: int) -> ImageStack:
    return ImageStack(np.random.default_rng(0).integers(0, 255, (slices, SIDE, SIDE)).astype(np.uint8))


def test_a_run_sends_each_slice_of_its_reach_once_and_gets_packed_masks(
    counted: tuple[WorkerClient, list[CountingTransport]],
) -> None:
    one, made = counted
    run(one, stack(20), StackPrompt.from_box3d(4, 11, Box(100, 100, 300, 300)))
    written, read = made[0].written, made[0].read
    assert 8 * SIDE * SIDE <= written <= 8 * (SIDE * SIDE + SMALL_TALK)
    assert read <= 8 * (SIDE * SIDE // 8 + 4 * 256 * 256 + SMALL_TALK)


def test_a_preview_sends_the_slice_and_gets_one_mask(
    counted: tuple[WorkerClient, list[CountingTransport]],
) -> None:
    one, made = counted
    image = stack(1).slice_uint8(0)
    answers: list[Prediction] = []
    one.preview(CHOICE, image, Box(100, 100, 300, 300), answers.append)
    drive(one, lambda: answers)
    written, read = made[0].written, made[0].read
    assert written <= SIDE * SIDE + SMALL_TALK
    assert read <= SIDE * SIDE // 8 + 4 * 256 * 256 + SMALL_TALK
