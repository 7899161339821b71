"""A contour editor on a volume with a bright ball, with views to draw in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.scene.editing.contour_editor import ContourEditor
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters
from MedSAMSlicerLib.scene.state.prompts import KeySlice
from MedSAMSlicerLib.scene.state.segment_state import SegmentState
from MedSAMSlicerLib.scene.volume.view_plane import ViewGeometry
from support.in_process_client import Client
from support.threshold_service import ThresholdService

SHAPE = (15, 40, 44)
SPACING = (1.0, 1.0, 2.0)
CORNERS = {
    "axial": np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]).T,
    "coronal": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]).T,
}


class CountingService(ThresholdService):
    """Remembers which slices a run computed."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[int] = []
        self.previews = 0

    def segment(self, choice: Any, source: Any, prompt: Any, info: Any) -> Iterator[SliceResult]:
        for found in super().segment(choice, source, prompt, info):
            self.computed.append(found.index)
            yield found

    def preview(self, choice: Any, image: Any, prompt: Any) -> Any:
        self.previews += 1
        return super().preview(choice, image, prompt)


class ContourEditorFixture:
    """A contour editor on a volume with a bright ball, and a segment for it; draws rectangles as a user does."""

    def __init__(self, scene_builder: Any, runner: Client) -> None:
        self.scene_builder, self.runner = scene_builder, runner
        inside = sum(
            ((n - (size - 1) / 2) * mm / 9) ** 2
            for n, size, mm in zip(np.indices(SHAPE), SHAPE, SPACING[::-1], strict=True)
        )
        self.truth = inside <= 1
        self.volume = scene_builder.volume(np.where(self.truth, 200, 20).astype(np.int16), SPACING)
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "other")
        self.node = scene_builder.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.parameters = EffectParameters(self.node)
        self.parameters.set_defaults()
        self.parameters.set("Window", "127.5,255")
        self.changes: list[int] = []
        self.results = 0
        self.contouring = self.open()

    def open(self, segment: str = "tumour") -> ContourEditor:
        state = SegmentState(self.volume, self.segmentation, segment, self.parameters)
        state.changed.connect(lambda: self.changes.append(1))
        return ContourEditor(state, self.runner, self._count_result)

    def _count_result(self) -> None:
        self.results += 1

    def view(self, k: float, name: str = "axial", turned: np.ndarray | None = None) -> ViewGeometry:
        """A view of 200 x 200 pixels and 100 x 100 mm through the middle of the volume; `k`: its slice, if axial."""
        node = self.scene_builder.scene.AddNewNodeByClass("vtkMRMLSliceNode")
        node.SetDimensions(200, 200, 1)
        node.SetFieldOfView(100, 100, 1)
        matrix = np.eye(4)
        matrix[:3, :3] = CORNERS[name] if turned is None else turned @ CORNERS[name]
        matrix[:3, 3] = self.position(k, (SHAPE[1] - 1) / 2, (SHAPE[2] - 1) / 2)
        node.GetSliceToRAS().DeepCopy(matrix.ravel())
        node.UpdateMatrices()
        return ViewGeometry.of(node)

    def position(self, k: float, j: float, i: float) -> np.ndarray:
        return np.array([-12.0, 30.0, 7.0]) + np.array([i, j, k]) * SPACING

    def draw(self, view: ViewGeometry, add: bool = False, half: float = 12, wait: bool = True) -> None:
        """A rectangle of 2 * `half` mm around the view's middle."""
        pixels = half * 2
        assert self.contouring.mouse.press(view, (100 - pixels, 100 - pixels), add), self.contouring.problem
        for n in range(1, 5):
            self.contouring.mouse.move((100 - pixels + n * pixels / 2, 100 - pixels + n * pixels / 2))
            self.contouring.step()
        self.contouring.mouse.release((100 + pixels, 100 + pixels))
        if wait:
            self.wait()

    def wait(self, until: Callable[[], bool] | None = None) -> None:
        end = time.monotonic() + 15
        while not until() if until is not None else self.contouring.busy:
            assert time.monotonic() < end, "it came to no end"
            self.contouring.step()
            time.sleep(0.001)

    @property
    def mask(self) -> np.ndarray:
        """The result in the volume's voxels."""
        result, plane = self.contouring.result, self.contouring.state.plane
        assert result is not None
        return np.asarray(self.contouring.state.stack(plane).to_volume(result.to_stack()))

    @property
    def keys(self) -> dict[int, KeySlice]:
        return {} if self.contouring.state.prompts is None else dict(self.contouring.state.prompts.keys)
