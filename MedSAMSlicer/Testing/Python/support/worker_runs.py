"""What the tests of inference clients share: one run from start to end, and a recorder of its callbacks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.scene.worker.active_run import RunListener, Stage
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient
from support.in_process_client import Client
from support.subprocess_client import SubprocessTransport
from support.threshold_service import ImageStack

CHOICE = ModelChoice()
BOX = Box(3, 4, 20, 15)
PROMPT = StackPrompt({4: BOX}, (1, 6))


@dataclass
class CallbackRecorder:
    """Records the callbacks of a run."""

    results: list[SliceResult] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    infos: list[RunInfo] = field(default_factory=list)
    errors: list[MedSAMError] = field(default_factory=list)

    @property
    def over(self) -> bool:
        assert len(self.infos) + len(self.errors) <= 1
        return bool(self.infos or self.errors)

    @property
    def error(self) -> MedSAMError:
        assert not self.infos
        [error] = self.errors
        assert "\n" not in str(error)
        return error

    def listener(self, on_slice: Callable[[SliceResult], None] | None = None) -> RunListener:
        def slice_found(result: SliceResult) -> None:
            assert not self.over
            self.results.append(result)
            if on_slice is not None:
                on_slice(result)

        return RunListener(slice_found, self.infos.append, self.errors.append, self.stages.append)


def drive(runner: Client, done: Callable[[], bool], seconds: float = 15.0) -> float:
    """Step until `done`; the seconds that it took."""
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < seconds, "the runner came to no end"
        runner.step()
    return time.monotonic() - begin


def run(
    runner: Client,
    stack: ImageStack,
    prompt: StackPrompt = PROMPT,
    on_slice: Callable[[SliceResult], None] | None = None,
    choice: ModelChoice = CHOICE,
) -> CallbackRecorder:
    """A run from its beginning to its end."""
    recorded = CallbackRecorder()
    runner.segment(choice, stack, prompt, recorded.listener(on_slice))
    drive(runner, lambda: recorded.over)
    assert not runner.running
    return recorded


def assert_same_results(received: list[SliceResult], expected: list[SliceResult]) -> None:
    assert [result.index for result in received] == [result.index for result in expected]
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.box, one.predicted_iou, one.confidence) == (other.box, other.predicted_iou, other.confidence)
        assert (one.needs_review, one.key) == (other.needs_review, other.key)


WorkerClientFactory = Callable[..., WorkerClient]


def process_of(link: WorkerClient) -> int:
    assert isinstance(link.transport, SubprocessTransport) and link.transport.pid is not None
    return link.transport.pid


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
