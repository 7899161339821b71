"""The module's logic in the test host, with an engine of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="the module's logic needs Slicer's MRML (slicer-core)")
import slicer.util

from host.application import Host
from host.fixture import host  # noqa: F401 - a fixture
from support import threshold_service

SHAPE = (20, 30, 40)


class LogicFixture:
    """A volume with a bright ball in a Slicer whose module was just loaded, and the module's logic.

    Attributes:
        logic: what `slicer.util.getModuleLogic` returns.
        truth: bool (k, j, i), the ball.
    """

    def __init__(self, host: Host, repository: Path, service: str = "ThresholdService") -> None:  # noqa: F811
        self.host = host
        k, j, i = np.indices(SHAPE)
        self.truth = ((k - 10) * 2.0) ** 2 + (j - 15) ** 2 + (i - 20) ** 2 <= 8**2
        self.volume = slicer.util.addVolumeFromArray(np.where(self.truth, 200, 20).astype(np.int16), name="CT")
        self.volume.SetSpacing(1, 1, 2)
        host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
        host.complete_startup()
        self.logic = slicer.util.getModuleLogic("MedSAMSlicer")
        self.outcomes: list[Any] = []
        self.serve(service)

    def serve(self, service: str) -> None:
        """Have the logic's inference processes run a service of `threshold_service` from now on."""
        from MedSAMSlicerLib.engine.environment import child_environment
        from MedSAMSlicerLib.logic.segmentation_runner import SegmentationRunner
        from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport
        from MedSAMSlicerLib.scene.worker.transport import worker_command

        self.transports: list[Any] = []

        def make() -> Any:
            command = worker_command(f"support.threshold_service:{service}")
            self.transports.append(QProcessTransport(command, child_environment([threshold_service.FOLDER])))
            return self.transports[-1]

        self.logic.segmentationRunner = SegmentationRunner(make)

    @property
    def prompt(self) -> dict[str, Any]:
        """Options with which `ThresholdService` finds the ball."""
        return {"keySlices": {10: (10, 5, 30, 25)}, "window": "127.5,255"}

    def segmentation(self, *names: str) -> Any:
        """A segmentation with empty segments."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in names:
            node.GetSegmentation().AddEmptySegment(name, name)
        return node

    def start(self, **options: Any) -> Any:
        """Start to segment the ball, and record the outcome."""
        return self.logic.startSegmentation(self.volume, **{**self.prompt, "finished": self.outcomes.append, **options})

    def wait(self) -> Any:
        """Process events until the segmentation that was started is over; its outcome."""
        count = len(self.outcomes)
        self.host.wait_until(lambda: len(self.outcomes) > count, 20)
        return self.outcomes[-1]

    def voxels(self, segmentation: Any, segment_id: str) -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, self.volume)
        return np.zeros(SHAPE, bool) if array is None else np.asarray(array) > 0


@pytest.fixture
def make_logic_fixture(host: Host, repository: Path) -> Callable[[str], LogicFixture]:  # noqa: F811
    """Makes a `LogicFixture` with a service of `threshold_service`."""
    return lambda service="ThresholdService": LogicFixture(host, repository, service)


@pytest.fixture
def logic_fixture(make_logic_fixture: Callable[..., LogicFixture]) -> LogicFixture:
    return make_logic_fixture()
