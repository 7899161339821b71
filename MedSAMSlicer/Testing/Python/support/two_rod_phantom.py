"""Two bright rods in a volume, a contour editor on it, and clicks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import numpy_to_vtk

from MedSAMSlicerLib.scene.editing.contour_editor import ContourEditor
from MedSAMSlicerLib.scene.state.effect_parameters import EffectParameters
from MedSAMSlicerLib.scene.state.prompts import KeySlice
from MedSAMSlicerLib.scene.state.segment_state import SegmentState
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world, to_matrix
from MedSAMSlicerLib.scene.volume.view_plane import ViewGeometry
from support.component_service import RecordingService
from support.in_process_client import InProcessClient

SHAPE = (15, 40, 44)
SPACING = (1.0, 1.0, 2.0)
FIRST, SECOND = (12, 13), (28, 31)
"""(j, i) of the rods' axes: neither in the middle of anything, so that what is turned over is found out."""


class TwoRodPhantom:
    """A volume with two rods along k, from slice 3 to 11, and a contour editor that is clicked in.

    The model segments the rods that a prompt selects; it takes the place of SAM-Med2D.
    """

    def __init__(self, scene_builder: Any, engine: RecordingService, directions: np.ndarray | None = None) -> None:
        self.scene_builder, self.engine = scene_builder, engine
        k, j, i = np.indices(SHAPE)
        inside = (k >= 3) & (k <= 11)
        self.first, self.second = (inside & ((j - at[0]) ** 2 + (i - at[1]) ** 2 <= 25) for at in (FIRST, SECOND))
        bright = np.where(self.first | self.second, 200, 20).astype(np.int16)
        self.volume = scene_builder.volume(bright, SPACING, directions)
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "other")
        self.parameters = EffectParameters(scene_builder.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self.parameters.set_defaults()
        for name, value in (("Window", "127.5,255"), ("Model", "sam_med2d"), ("EncodeAhead", "0")):
            self.parameters.set(name, value)
        self.results = 0
        self.contouring = self.open()
        self.view = self.along("K", 7)

    def open(self) -> ContourEditor:
        state = SegmentState(self.volume, self.segmentation, "tumour", self.parameters)
        return ContourEditor(state, InProcessClient(self.engine), self._count_result)

    def _count_result(self) -> None:
        self.results += 1

    def along(self, axis: str, index: float, turned: np.ndarray | None = None) -> ViewGeometry:
        """A view of 300 x 300 pixels and 100 x 100 mm on a slice of the volume; `turned`: not quite on it."""
        node = self.scene_builder.scene.AddNewNodeByClass("vtkMRMLSliceNode")
        node.SetDimensions(300, 300, 1)
        node.SetFieldOfView(100, 100, 1)
        to_world = ijk_to_world(self.volume)
        columns = to_world[:3, :3] / SPACING
        across = "IJK".index(axis)
        right, up = (n for n in range(3) if n != across)
        # Turned over from left to right, as radiological views are.
        matrix = np.eye(4)
        matrix[:3, :3] = np.column_stack([-columns[:, right], columns[:, up], columns[:, across]])
        if turned is not None:
            matrix[:3, :3] = turned @ matrix[:3, :3]
        middle = [(size - 1) / 2 for size in SHAPE[::-1]]
        middle[across] = index
        matrix[:3, 3] = (to_world @ [*middle, 1])[:3]
        node.GetSliceToRAS().DeepCopy(matrix.ravel())
        node.UpdateMatrices()
        return ViewGeometry.of(node)

    def xy(self, view: ViewGeometry, k: float, j: float, i: float) -> tuple[float, float]:
        x, y = (np.linalg.inv(view.xy_to_world) @ ijk_to_world(self.volume) @ [i, j, k, 1])[:2]
        return float(x), float(y)

    def click(self, where: tuple[int, int], negative: bool = False, k: int = 7, wait: bool = True) -> None:
        """A click at (j, i) of slice k."""
        view = self.along("K", k)
        self.click_at(view, self.xy(view, k, *where), negative, wait)

    def click_at(self, view: ViewGeometry, xy: tuple[float, float], negative: bool = False, wait: bool = True) -> None:
        assert self.contouring.mouse.press(view, xy, False), self.contouring.problem
        self.contouring.mouse.move((xy[0] + 1, xy[1] - 1))
        self.contouring.mouse.release((xy[0] + 1, xy[1]), negative)
        if wait:
            self.wait()

    def draw(self, low: tuple[int, int], high: tuple[int, int], k: int = 7, add: bool = False) -> None:
        """A rectangle between two (j, i) of slice k, and its run."""
        view = self.along("K", k)
        start, end = self.xy(view, k, *low), self.xy(view, k, *high)
        assert self.contouring.mouse.press(view, start, add), self.contouring.problem
        self.contouring.mouse.move(end)
        self.contouring.mouse.release(end)
        self.wait()

    def draw_both(self, k: int = 7, add: bool = False) -> None:
        self.draw((4, 4), (35, 39), k, add)

    def wait(self) -> None:
        end = time.monotonic() + 20
        while self.contouring.busy:
            assert time.monotonic() < end, "it came to no end"
            self.contouring.step()

    def run(self) -> None:
        self.contouring.run()
        self.wait()
        assert self.contouring.problem is None, self.contouring.problem

    @property
    def keys(self) -> dict[int, KeySlice]:
        return {} if self.contouring.state.prompts is None else dict(self.contouring.state.prompts.keys)

    def seen(self) -> np.ndarray | None:
        """The mask that is previewed."""
        image = self.contouring.preview.image
        return None if image is None else image.values[0] > 0

    def found(self) -> np.ndarray:
        """The result in the volume's voxels."""
        result, plane = self.contouring.result, self.contouring.state.plane
        assert result is not None
        return np.asarray(self.contouring.state.stack(plane).to_volume(result.to_stack()))

    def fill(self, mask: np.ndarray) -> None:
        """Put (k, j, i) voxels into the segment."""
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(*SHAPE[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
        image.SetImageToWorldMatrix(to_matrix(ijk_to_world(self.volume)))
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, self.segmentation, "tumour")


def same(one: np.ndarray | None, other: np.ndarray) -> bool:
    return one is not None and bool((one == other).all())
