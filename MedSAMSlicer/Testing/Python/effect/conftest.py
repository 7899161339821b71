"""The effect in the test host, and a contour editor for tests of what the options frame shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="the effect needs Slicer's MRML (slicer-core)")
import slicer.util

from host import slicer_python
from host.application import Host
from host.fixture import host  # noqa: F401
from support import threshold_service
from support.contour_editor_fixture import ContourEditorFixture, CountingService
from support.in_process_client import InProcessClient
from support.scene_builder import SceneBuilder, new_scene

# The effect's texts go through Slicer's translation, which slicer-core lacks; tests without the host need it too.
sys.modules.setdefault("slicer.i18n", slicer_python.modules()["slicer.i18n"])

SHAPE = (20, 60, 80)


class EffectFixture:
    """A volume with a bright ball in the host, two segments, and the effect on the first of them."""

    def __init__(
        self,
        host: Host,  # noqa: F811
        repository: Path,
        service: str = "ThresholdService",
        known_devices: bool = True,
    ) -> None:
        self.host = host
        k, j, i = np.indices(SHAPE)
        self.truth = ((k - 10) * 2.0) ** 2 + (j - 30) ** 2 + (i - 40) ** 2 <= 13**2
        self.volume = slicer.util.addVolumeFromArray(np.where(self.truth, 200, 20).astype(np.int16), name="CT")
        self.volume.SetSpacing(1, 1, 2)
        host.show(self.volume)
        host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
        host.complete_startup()
        self.segmentation = host.edit(self.volume, "tumour", "other")
        self.effect = host.editor.effectByName("MedSAM").self()
        if known_devices:
            # Spares every test the process that lists the devices.
            self.effect._available._asked = True
            self.effect._available._take({"kind": "devices", "devices": ["cpu"]})
        host.editor.setActiveEffectByName("MedSAM")
        self.serve(service)
        self.effect.scriptedEffect.setParameter("Window", "127.5,255")

    def serve(self, service: str) -> None:
        """Have inference processes run an engine of the tests from now on."""
        from MedSAMSlicerLib.engine.environment import child_environment
        from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport
        from MedSAMSlicerLib.scene.worker.transport import worker_command

        name = service if ":" in service else f"support.threshold_service:{service}"
        environment = child_environment([threshold_service.FOLDER])
        self.effect.make_transport = lambda: QProcessTransport(worker_command(name), environment)

    @property
    def ui(self) -> Any:
        return self.effect._frame.ui

    @property
    def contouring(self) -> Any:
        return self.effect.contouring

    def xy(self, view: str, *jik: float) -> tuple[int, int]:
        """View pixel of a voxel (k, j, i)."""
        node = self.host.user.view(view).mrmlSliceNode()
        to_ras = slicer.util.arrayFromVTKMatrix(self._ijk_to_ras())
        to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
        x, y = (to_xy @ to_ras @ [*jik[::-1], 1])[:2]
        return round(x), round(y)

    def _ijk_to_ras(self) -> Any:
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.volume.GetIJKToRASMatrix(matrix)
        return matrix

    def at(self, view: str, share: float) -> tuple[int, int]:
        """View pixel `share` of 17 mm to the right of and above the ball's middle."""
        x, y = self.xy(view, 10, 30, 40)
        node = self.host.user.view(view).mrmlSliceNode()
        pixels = share * 17 * node.GetDimensions()[0] / node.GetFieldOfView()[0]
        return round(x + pixels), round(y + pixels)

    def centre(self) -> None:
        """All views through the ball's middle."""
        ras = slicer.util.arrayFromVTKMatrix(self._ijk_to_ras()) @ [40, 30, 10, 1]
        for name in ("Red", "Yellow", "Green"):
            self.host.user.view(name).mrmlSliceNode().JumpSliceByOffsetting(*map(float, ras[:3]))

    def zoom_out(self, view: str) -> None:
        node = self.host.user.view(view).mrmlSliceNode()
        x, y, z = node.GetFieldOfView()
        node.SetFieldOfView(3 * x, 3 * y, z)

    def drag(self, view: str = "Red", half: float = 1.0, shift: bool = False, wait: bool = True) -> None:
        assert self.host.user.drag(view, self.at(view, -half), self.at(view, half), shift)
        if wait:
            self.finish()

    def start(self) -> None:
        """Draw, and wait for the first slices of the run."""
        self.drag(wait=False)
        self.host.wait_until(lambda: self.contouring.progress is not None and self.contouring.progress.done > 1)

    def signal_on(self, k: int | None) -> None:
        """Have the engine do on slice `k` whatever it does on a signal, or no longer; the window stays as it is."""
        voxels = slicer.util.arrayFromVolume(self.volume)
        voxels[0, 0, 1:3] = 0, 255
        voxels[1:, 0, 0] = 0
        if k is not None:
            voxels[k, 0, 0] = threshold_service.SIGNAL
        slicer.util.arrayFromVolumeModified(self.volume)

    def finish(self) -> None:
        self.host.wait_until(lambda: not self.contouring.running)

    def voxels(self, segment: str = "tumour") -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segment, self.volume)
        return np.zeros(SHAPE, bool) if array is None else np.asarray(array) > 0

    @property
    def nothing_is_written(self) -> bool:
        """Whether the segments that are still there are empty, in whatever geometry."""
        segments = map(self.segmentation.GetSegmentation().GetSegment, ("tumour", "other"))
        images = [one.GetRepresentation("Binary labelmap") for one in segments if one is not None]
        return all(image is None or image.GetNumberOfPoints() == 0 for image in images)

    def result(self) -> np.ndarray:
        stack = self.contouring.state.stack(self.contouring.state.plane)
        return np.asarray(stack.to_volume(self.contouring.result.to_stack()))

    def visible(self, actor: str, view: str = "Red") -> bool:
        """Whether one of the effect's actors is seen in a view."""
        for drawn in self.effect._overlays._views:
            if drawn.widget is self.host.user.view(view):
                return bool(getattr(drawn, f"_{actor}").actor.GetVisibility())
        return False


@pytest.fixture
def effect_fixture(host: Host, repository: Path) -> EffectFixture:  # noqa: F811
    made = EffectFixture(host, repository)
    made.centre()
    return made


@pytest.fixture
def scene_builder(host: Host) -> SceneBuilder:  # noqa: F811
    """Adds nodes to the host's scene."""
    return SceneBuilder(host.scene)


@pytest.fixture
def editor_fixture() -> ContourEditorFixture:
    """A contour editor without the host."""
    return ContourEditorFixture(SceneBuilder(new_scene()), InProcessClient(CountingService()))


@pytest.fixture
def make_effect_fixture(host: Host, repository: Path) -> Callable[[str], EffectFixture]:  # noqa: F811
    """Makes an `EffectFixture` whose inference process runs a service of `threshold_service`."""

    def make(service: str) -> EffectFixture:
        made = EffectFixture(host, repository, service)
        made.centre()
        return made

    return make
