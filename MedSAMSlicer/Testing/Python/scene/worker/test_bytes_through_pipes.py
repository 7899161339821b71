"""Number of bytes through the pipes of the inference process: each slice is sent once, masks are packed."""

from __future__ import annotations

import numpy as np
import pytest

from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.subprocess_client import SubprocessTransport
from support.threshold_service import ImageStack
from support.worker_runs import CHOICE, WorkerClientFactory, drive, run

SIDE = 512
OVERHEAD = 2048
"""Maximum number of bytes of a message without its arrays."""


@pytest.fixture
def client(make_worker_client: WorkerClientFactory) -> WorkerClient:
    return make_worker_client()


def bytes_moved(client: WorkerClient) -> tuple[int, int]:
    """Numbers of bytes written to the process and read from it."""
    assert isinstance(client.transport, SubprocessTransport)
    return client.transport.written, client.transport.read


def stack(slices: int) -> ImageStack:
    return ImageStack(np.random.default_rng(0).integers(0, 255, (slices, SIDE, SIDE)).astype(np.uint8))


def test_a_run_sends_each_slice_of_its_range_once_and_gets_packed_masks(client: WorkerClient) -> None:
    run(client, stack(20), StackPrompt.from_box3d(4, 11, Box(100, 100, 300, 300)))
    written, read = bytes_moved(client)
    assert 8 * SIDE * SIDE <= written <= 8 * (SIDE * SIDE + OVERHEAD)
    assert read <= 8 * (SIDE * SIDE // 8 + 4 * 256 * 256 + OVERHEAD)


def test_a_preview_sends_the_slice_and_gets_one_mask(client: WorkerClient) -> None:
    image = stack(1).slice_uint8(0)
    answers: list[Prediction] = []
    client.preview(CHOICE, image, Box(100, 100, 300, 300), answers.append)
    drive(client, lambda: answers)
    written, read = bytes_moved(client)
    assert written <= SIDE * SIDE + OVERHEAD
    assert read <= SIDE * SIDE // 8 + 4 * 256 * 256 + OVERHEAD
