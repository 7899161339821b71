"""Clicks on slices without Qt: two bright rods, and a model that finds the rods which are named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vtk.util.numpy_support import numpy_to_vtk

from MedSAMSlicerLib.engine import service as engine_service
from MedSAMSlicerLib.engine.direct import DirectRunner
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box, Points
from support.clicked_model import load_clicked
from support.clicked_service import NotingService

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.contouring import Contouring  # noqa: E402
from MedSAMSlicerLib.scene.effect_parameters import EffectParameters  # noqa: E402
from MedSAMSlicerLib.scene.geometry import ijk_to_world, to_matrix  # noqa: E402
from MedSAMSlicerLib.scene.kept_mask import KeptMask  # noqa: E402
from MedSAMSlicerLib.scene.prompts import KeySlice, Prompts  # noqa: E402
from MedSAMSlicerLib.scene.view_plane import Plane, ViewGeometry  # noqa: E402

SHAPE = (15, 40, 44)
SPACING = (1.0, 1.0, 2.0)
FIRST, SECOND = (12, 13), (28, 31)
"""(j, i) of the rods' axes: neither in the middle of anything, so that what is turned over is found out."""


class Desk:
    """A volume with two rods along k, from slice 3 to 11, and somebody who clicks. The model is SAM-Med2D by name."""

    def __init__(self, world: Any, engine: NotingService, directions: np.ndarray | None = None) -> None:
        self.world, self.engine = world, engine
        k, j, i = np.indices(SHAPE)
        inside = (k >= 3) & (k <= 11)
        self.first, self.second = (inside & ((j - at[0]) ** 2 + (i - at[1]) ** 2 <= 25) for at in (FIRST, SECOND))
        bright = np.where(self.first | self.second, 200, 20).astype(np.int16)
        self.volume = world.volume(bright, SPACING, directions)
        self.segmentation = world.segmentation(self.volume, "tumour", "other")
        self.parameters = EffectParameters(world.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self.parameters.set_defaults()
        for name, value in (("Window", "127.5,255"), ("Model", "sam_med2d"), ("EncodeAhead", "0")):
            self.parameters.set(name, value)
        self.results = 0
        self.contouring = self.open()
        self.view = self.along("K", 7)

    def open(self) -> Contouring:
        return Contouring(
            self.volume, self.segmentation, "tumour", DirectRunner(self.engine), self.parameters,
            on_result=self._count_result,
        )  # fmt: skip

    def _count_result(self) -> None:
        self.results += 1

    def along(self, axis: str, index: float, turned: np.ndarray | None = None) -> ViewGeometry:
        """A view of 300 x 300 pixels and 100 x 100 mm on a slice of the volume; `turned`: not quite on it."""
        node = self.world.scene.AddNewNodeByClass("vtkMRMLSliceNode")
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
        assert self.contouring.press(view, xy, False), self.contouring.problem
        self.contouring.move((xy[0] + 1, xy[1] - 1))
        self.contouring.release((xy[0] + 1, xy[1]), negative)
        if wait:
            self.wait()

    def draw(self, low: tuple[int, int], high: tuple[int, int], k: int = 7, add: bool = False) -> None:
        """A rectangle between two (j, i) of slice k, and its run."""
        view = self.along("K", k)
        start, end = self.xy(view, k, *low), self.xy(view, k, *high)
        assert self.contouring.press(view, start, add), self.contouring.problem
        self.contouring.move(end)
        self.contouring.release(end)
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
        return {} if self.contouring.prompts is None else dict(self.contouring.prompts.keys)

    def seen(self) -> np.ndarray | None:
        """The mask that is previewed."""
        image = self.contouring.preview.image
        return None if image is None else image.values[0] > 0

    def found(self) -> np.ndarray:
        """The result in the volume's voxels."""
        result, plane = self.contouring.result, self.contouring.plane
        assert result is not None
        return np.asarray(self.contouring.stack(plane).to_volume(result.to_stack()))

    def fill(self, mask: np.ndarray) -> None:
        """Put (k, j, i) voxels into the segment."""
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(*SHAPE[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
        image.SetImageToWorldMatrix(to_matrix(ijk_to_world(self.volume)))
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, self.segmentation, "tumour")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> NotingService:
    monkeypatch.setattr(engine_service, "load_predictor", load_clicked)
    return NotingService()


@pytest.fixture
def desk(world: Any, engine: NotingService) -> Desk:
    return Desk(world, engine)


def same(one: np.ndarray | None, other: np.ndarray) -> bool:
    return one is not None and bool((one == other).all())


def test_clicks_refine_the_preview_and_are_undone_one_by_one(desk: Desk) -> None:
    first, second = desk.first[7], desk.second[7]
    seen = []
    for where, negative in ((FIRST, False), (SECOND, False), (FIRST, True)):
        desk.click(where, negative)
        seen.append(desk.seen())
    assert same(seen[0], first) and same(seen[1], first | second) and same(seen[2], second)
    assert desk.keys[7].origin == "clicked" and desk.keys[7].points is not None
    assert desk.keys[7].points.positive == (True, True, False)
    for expected in (first | second, first):
        assert desk.contouring.clicks.undo()
        desk.wait()
        assert same(desk.seen(), expected)
    assert desk.contouring.clicks.undo()
    desk.wait()
    assert desk.keys == {} and desk.seen() is None
    assert not desk.contouring.clicks.can_undo and not desk.contouring.clicks.undo()
    assert desk.engine.runs == [] and desk.contouring.problem is None


def test_a_click_begins_no_run_whatever_the_reach(desk: Desk) -> None:
    for reach in ("object", "slice", "range"):
        desk.parameters.set("Reach", reach)
        desk.click(FIRST)
    assert desk.engine.runs == [] and desk.contouring.result is None
    desk.parameters.set("Reach", "slice")
    desk.run()
    assert same(desk.found()[7], desk.first[7]) and not desk.found()[6].any()


def test_a_run_goes_through_what_was_clicked(desk: Desk) -> None:
    desk.click(SECOND)
    assert desk.contouring.clicks.pending == [7]
    desk.run()
    assert same(desk.found(), desk.second)
    assert desk.results == 1 and desk.contouring.clicks.pending == []
    assert desk.seen() is None, "the result takes the place of the preview"


@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("name", ["straight", "oblique", "left-handed"])
def test_the_point_lies_where_was_clicked(world: Any, engine: NotingService, turn: Any, axis: str, name: str) -> None:
    """In the volume's own slices, whichever way these and the view lie."""
    tilted = turn(21, -13, 34)
    desk = Desk(world, engine, {"straight": None, "oblique": tilted}.get(name, tilted @ np.diag([1.0, 1.0, -1.0])))
    kji = (6, 11, 15)
    index = dict(zip("KJI", kji, strict=True))[axis]
    view = desk.along(axis, index)
    desk.click_at(view, desk.xy(view, *kji))
    assert list(desk.keys) == [index] and desk.contouring.plane == Plane(axis)
    column, row = {"K": (15, 11), "J": (15, 6), "I": (11, 6)}[axis]
    points = desk.keys[index].points
    assert points is not None and points.coordinates[0] == pytest.approx((column, row), abs=1e-6)
    expected = np.take(desk.first, index, axis="KJI".index(axis))
    assert same(desk.seen(), expected)


def test_a_click_in_an_oblique_view_lies_in_its_plane(desk: Desk, turn: Any) -> None:
    view = desk.along("K", 7, turn(0, 30, 0))
    xy = (150 + 3 * 8, 150 - 3 * 7)
    desk.click_at(view, xy)
    (index,) = desk.keys
    plane, points = desk.contouring.plane, desk.keys[index].points
    assert plane is not None and plane.axis is None and points is not None
    x, y = points.coordinates[0]
    world = desk.contouring.stack(plane).slice_to_world(index) @ [x, y, 0, 1]
    normal = view.slice_to_world[:3, 2]
    off = world[:3] - view.to_world(xy)
    assert np.linalg.norm(off - normal * (off @ normal)) < 1e-6
    assert abs(off @ normal) <= desk.contouring.stack(plane).spacing[0] / 2 + 1e-6


def test_clicks_go_with_the_rectangle_that_the_slice_has(desk: Desk) -> None:
    desk.draw_both()
    assert same(desk.found(), desk.first | desk.second)
    box = desk.keys[7].box
    desk.click(SECOND, negative=True)
    assert same(desk.seen(), desk.first[7])
    assert desk.keys[7].box == box and desk.keys[7].origin == "corrected"
    _model, asked = desk.engine.previews[-1]
    assert asked.kinds == {"box", "points", "mask"}
    desk.run()
    assert same(desk.found(), desk.first)


def test_a_correction_starts_from_the_logits_of_the_key_slice(desk: Desk) -> None:
    """The first answer has one rod only; with its logits as mask, a click between the rods can name no other."""
    desk.click(FIRST)
    desk.run()
    desk.click(SECOND)
    _model, asked = desk.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], desk.first[7])
    # Until the next run that stays the start, whatever is clicked.
    desk.click(FIRST, negative=True)
    assert desk.engine.previews[-1][1].mask is asked.mask


def test_a_correction_elsewhere_starts_from_the_result_and_runs_up_to_the_neighbours(desk: Desk) -> None:
    desk.draw_both(4)
    for k in (7, 10):
        desk.draw_both(k, add=True)
    before = {found.index: found for found in desk.contouring.result or ()}
    desk.click(SECOND, negative=True, k=6)
    _model, asked = desk.engine.previews[-1]
    assert asked.mask is not None and asked.mask.logits is not None
    assert same((asked.mask.logits > 0)[: SHAPE[1], : SHAPE[2]], (desk.first | desk.second)[6])
    assert same(desk.seen(), desk.first[6])
    runs = len(desk.engine.runs)
    desk.run()
    assert len(desk.engine.runs) == runs + 1
    prompt, slices = desk.engine.runs[-1]
    assert slices == 4 and list(prompt.slice_prompts) == [2], "slices 4 to 7, counted from their first"
    assert list(desk.keys) == [4, 6, 7, 10] and desk.keys[6].origin == "corrected"
    assert same(desk.found()[6], desk.first[6])
    after = {found.index: found for found in desk.contouring.result or ()}
    changed = {index for index in before if not same(after[index].mask, before[index].mask)}
    assert 6 in changed and changed <= {5, 6} and set(after) == set(before)


def test_undo_takes_back_a_correction_to_the_last_bit(desk: Desk) -> None:
    desk.draw_both()
    before = desk.contouring.prompts
    desk.click(SECOND, negative=True)
    desk.contouring.clicks.undo()
    assert desk.contouring.prompts is before
    assert desk.contouring.clicks.pending == [] and desk.contouring.result is not None
    assert desk.contouring.preview.asked is None


def test_escape_drops_the_clicks_since_the_last_run(desk: Desk) -> None:
    desk.click(FIRST)
    desk.run()
    after_run = desk.contouring.prompts
    desk.click(SECOND)
    desk.click(SECOND, negative=True, k=9)
    assert desk.contouring.escape()
    assert desk.contouring.prompts is after_run and desk.contouring.clicks.pending == []
    assert not desk.contouring.escape()
    assert desk.contouring.clicks.undo(), "one by one, clicks are undone beyond the run too"
    assert desk.keys == {}


def test_escape_during_the_run_ends_it_and_keeps_the_clicks(desk: Desk) -> None:
    desk.click(FIRST)
    desk.contouring.run()
    assert desk.contouring.running and desk.contouring.escape()
    desk.wait()
    assert desk.contouring.result is None and list(desk.keys) == [7]
    assert same(desk.seen(), desk.first[7])
    assert desk.contouring.escape() and desk.keys == {}


def test_a_first_click_that_only_says_where_nothing_is_is_refused(desk: Desk) -> None:
    desk.click(FIRST, negative=True)
    assert "add a positive point" in str(desk.contouring.problem)
    assert desk.keys == {} and desk.engine.previews == []
    desk.click(FIRST)
    assert desk.contouring.problem is None


def test_a_model_without_points_is_not_asked(desk: Desk) -> None:
    desk.parameters.set("Model", "litemedsam")
    desk.click(FIRST)
    clicks = desk.contouring.clicks
    assert clicks.refused and desk.keys == {} and desk.engine.previews == []
    assert desk.contouring.problem is None
    desk.parameters.set("Model", "sam_med2d")
    assert not clicks.refused
    desk.click(FIRST)
    assert same(desk.seen(), desk.first[7]) and not clicks.refused


def test_a_model_without_points_does_not_preview_clicks_and_names_itself_in_the_run(desk: Desk) -> None:
    desk.click(FIRST)
    asked = len(desk.engine.previews)
    desk.parameters.set("Model", "medsam")
    desk.contouring.read_prompts()
    desk.wait()
    assert desk.seen() is None and len(desk.engine.previews) == asked
    desk.contouring.run()
    desk.wait()
    assert "MedSAM (ViT-B) was not trained for points" in str(desk.contouring.problem)
    desk.parameters.set("Model", "sam_vit_b")
    desk.contouring.read_prompts()
    desk.wait()
    assert same(desk.seen(), desk.first[7]) and desk.engine.previews[-1][0] == "sam_vit_b"


def test_the_clicks_of_a_slice_are_seen_again_when_the_view_comes_back(desk: Desk) -> None:
    desk.click(FIRST)
    desk.click(SECOND, k=9)
    assert desk.contouring.preview.shown is not None and desk.contouring.preview.shown.index == 9
    desk.contouring.look_at(desk.along("K", 7))
    desk.wait()
    assert desk.contouring.preview.shown.index == 7 and same(desk.seen(), desk.first[7])
    assert desk.contouring.clicks.shows(Plane("K"), 7) and not desk.contouring.clicks.shows(Plane("K"), 9)
    desk.contouring.look_at(desk.along("J", 12))
    desk.wait()
    assert same(desk.seen(), desk.first[7]), "a look at another view leaves it where it is"


def test_a_drag_that_comes_to_nothing_gives_the_preview_back(desk: Desk) -> None:
    desk.click(FIRST)
    view = desk.along("K", 7)
    desk.contouring.press(view, (100, 100), False)
    assert same(desk.seen(), desk.first[7])
    desk.contouring.move((160, 160))
    desk.wait()
    assert desk.contouring.escape()
    desk.wait()
    assert same(desk.seen(), desk.first[7]) and list(desk.keys) == [7]
    desk.contouring.press(view, (100, 100), False)
    desk.contouring.move((160, 101))
    desk.contouring.release((101, 101))
    assert desk.keys[7].points is not None and len(desk.keys[7].points) == 1, "what went away and back is no click"


def test_a_rectangle_on_a_clicked_slice_keeps_the_clicks(desk: Desk) -> None:
    desk.click(FIRST)
    desk.draw_both()
    assert desk.keys[7].box is not None and desk.keys[7].points is not None
    assert same(desk.found(), desk.first), "the click names one of the two rods in the rectangle"
    assert desk.engine.previews[-1][1].kinds == {"box", "points"}
    desk.parameters.set("Model", "litemedsam")
    desk.draw_both()
    assert desk.keys[7].is_box and same(desk.found(), desk.first | desk.second)


def test_a_click_in_another_plane_is_refused_and_nothing_is_lost(desk: Desk) -> None:
    desk.click(FIRST)
    view = desk.along("J", FIRST[0])
    desk.click_at(view, desk.xy(view, 7, *FIRST))
    assert "another plane" in str(desk.contouring.problem)
    assert list(desk.keys) == [7] and desk.contouring.plane == Plane("K")


def test_a_click_outside_of_a_3d_box_says_that_the_object_leaves_it(desk: Desk) -> None:
    center = (ijk_to_world(desk.volume) @ [FIRST[1], FIRST[0], 7, 1])[:3]
    desk.contouring.take_roi(desk.world.roi(center, (14, 14, 9)))
    desk.wait()
    assert same(desk.found()[7], desk.first[7])
    before = desk.contouring.prompts
    assert before is not None and before.bounds is not None and before.reach is not None
    desk.click((FIRST[0] + 1, FIRST[1]), k=8)
    assert desk.contouring.prompts is not None and desk.contouring.prompts.bounds == before.bounds
    last = before.reach[1]
    desk.click(SECOND, k=last + 1)
    after = desk.contouring.prompts
    assert after is not None and after.bounds is None and after.reach == (before.reach[0], last + 1)
    desk.run()
    assert 8 in desk.engine.runs[-1][0].slice_prompts
    assert same(desk.found()[last + 1], desk.second[last + 1])


def test_points_in_a_3d_box_are_not_left_out(desk: Desk) -> None:
    """The only rectangle is the 3D box itself, which without clicks is gone through in a way of its own."""
    center = (ijk_to_world(desk.volume) @ [22, 20, 7, 1])[:3]
    desk.contouring.take_roi(desk.world.roi(center, (38, 36, 9)))
    desk.wait()
    assert same(desk.found()[6:9], (desk.first | desk.second)[6:9])
    prompts = desk.contouring.prompts
    assert prompts is not None and prompts.bounds is not None
    desk.click(SECOND, negative=True, k=8)
    desk.run()
    assert same(desk.found()[8], desk.first[8])


def test_the_segment_is_where_the_model_starts(desk: Desk) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    desk.fill(part)
    clicks = desk.contouring.clicks
    clicks.start_from_segment(desk.along("K", 7))
    desk.wait()
    assert same(desk.seen(), desk.second[7]) and desk.keys[7].origin == "segment"
    _model, asked = desk.engine.previews[-1]
    assert asked.mask is not None and same(asked.mask.mask, part[7])
    desk.click(SECOND)
    assert desk.engine.previews[-1][1].kinds == {"points", "mask"}
    desk.run()
    assert same(desk.found(), desk.second)
    for _n in range(2):
        assert clicks.undo()
    assert desk.keys == {}


def test_an_empty_segment_or_a_model_without_masks_is_refused_in_words(desk: Desk) -> None:
    part = np.zeros(SHAPE, bool)
    part[7, 26:30, 29:33] = True
    desk.fill(part)
    with pytest.raises(InputError, match="the segment is empty on this slice"):
        desk.contouring.clicks.start_from_segment(desk.along("K", 8))
    desk.parameters.set("Model", "medsam")
    with pytest.raises(InputError, match=r"MedSAM \(ViT-B\) was not trained for masks"):
        desk.contouring.clicks.start_from_segment(desk.along("K", 7))
    assert desk.keys == {} and desk.engine.previews == []


def test_clicks_and_masks_stand_in_the_scene(desk: Desk) -> None:
    desk.click(FIRST)
    desk.run()
    desk.click(FIRST)
    desk.click(SECOND, negative=True, k=9)
    again = desk.open()
    assert again.prompts == desk.contouring.prompts
    assert again.prompts is not None and again.prompts.keys[7].mask == desk.keys[7].mask is not None
    # Whoever opens the scene sees them, undoes them one by one, and runs from there.
    desk.contouring = again
    again.look_at(desk.along("K", 9))
    desk.wait()
    assert same(desk.seen(), desk.first[9]) and not again.escape()
    assert again.clicks.undo() and list(desk.keys) == [7]
    desk.run()
    assert same(desk.found(), desk.first)


def test_logits_and_masks_are_saved_to_a_file(desk: Desk, world: Any, tmp_path: Any) -> None:
    """As large as SAM's, and of noise, which packs badly."""
    noise = np.random.default_rng(4).normal(0, 9, (256, 256)).astype(np.float32)
    keys = {
        index: KeySlice(Box(1, 2, 30.5, 20), "corrected", Points(((3, 4.25),), (False,)), mask)
        for index, mask in ((5, KeptMask.of_logits(noise, "sam_vit_h")), (7, KeptMask.of_mask(noise > 0)))
    }
    prompts = Prompts(Plane("K"), keys)
    desk.contouring.change_prompts(prompts)
    file = tmp_path / "scene.mrml"
    world.scene.SetURL(str(file))
    assert world.scene.Commit()
    loaded = slicer.vtkMRMLScene()
    for kind in ("SegmentEditorNode", "SegmentationNode"):
        loaded.RegisterNodeClass(getattr(slicer, f"vtkMRML{kind}")())
    loaded.SetURL(str(file))
    assert loaded.Connect()
    text = loaded.GetFirstNodeByClass("vtkMRMLSegmentEditorNode").GetAttribute("MedSAM.Prompts")
    assert Prompts.from_content(json.loads(text)["tumour"]) == prompts


def test_a_script_sets_points_in_the_scene(desk: Desk) -> None:
    content = {"plane": "K", "keys": {"7": {"box": None, "points": [[13, 12, 1], [31, 28, 0]], "origin": "clicked"}}}
    desk.parameters.set_prompts_of("tumour", desk.volume, desk.segmentation, content)
    desk.contouring.read_prompts()
    assert desk.keys[7] == KeySlice(None, "clicked", Points(((13, 12), (31, 28)), (True, False)))
    desk.run()
    assert same(desk.found(), desk.first)


@pytest.mark.parametrize(
    "key",
    [
        {"points": [[1, 2]], "origin": "clicked"},
        {"points": [], "origin": "clicked"},
        {"points": [[1, 2, 0]], "origin": "clicked"},
        {"mask": "mask:4:4:no base 64", "origin": "segment"},
        {"mask": "mask:4000000:4000000:eJw=", "origin": "segment"},
        {"points": [[1, 2, 1]], "origin": "somewhere"},
    ],
)
def test_what_cannot_be_read_is_told(desk: Desk, key: dict[str, Any]) -> None:
    content = {"plane": "K", "keys": {"7": key}}
    desk.parameters.set_prompts_of("tumour", desk.volume, desk.segmentation, content)
    desk.contouring.read_prompts()
    assert desk.contouring.problem is not None and desk.keys == {}


def test_logits_are_for_the_model_that_gave_them() -> None:
    logits = np.linspace(-20, 20, 12, dtype=np.float32).reshape(3, 4)
    kept = KeptMask.of_logits(logits, "sam_vit_b")
    assert kept == KeptMask(kept.text) and kept.prompt.logits is not None
    assert np.abs(kept.prompt.logits - logits).max() < 0.01
    key = KeySlice(Box(1, 1, 3, 3), "corrected", mask=kept)
    assert key.prompt_for("sam_vit_b").kinds == {"box", "mask"} and key.prompt_for("sam_med2d").kinds == {"box"}
    alone = Prompts(Plane("K"), {2: KeySlice(None, "corrected", mask=kept)})
    with pytest.raises(InputError, match="the prompt is empty"):
        alone.stack_prompt("sam_med2d")


def test_a_mask_comes_back_pixel_by_pixel() -> None:
    mask = np.random.default_rng(2).random((37, 53)) > 0.7
    kept = KeptMask(KeptMask.of_mask(mask).text)
    assert kept == KeptMask.of_mask(mask) and same(kept.prompt.mask, mask)
    assert kept.fits("sam_vit_b") and kept.fits("sam_med2d")
    assert kept != KeptMask.of_mask(~mask)


def test_a_click_during_a_run_is_newer_than_what_the_run_finds(desk: Desk) -> None:
    desk.click(FIRST)
    desk.contouring.run()
    for _n in range(3):
        desk.contouring.step()
    desk.click(SECOND)
    assert desk.contouring.result is not None and same(desk.found(), desk.first)
    assert desk.contouring.clicks.pending == [7] and same(desk.seen(), (desk.first | desk.second)[7])
    assert desk.contouring.escape()
    assert desk.contouring.clicks.pending == []


@pytest.mark.parametrize("way", ["discard", "another", "remove"])
def test_what_else_changes_the_prompts_ends_the_way_back(desk: Desk, way: str) -> None:
    desk.click(FIRST)
    change: dict[str, Callable[[], None]] = {
        "discard": desk.contouring.discard,
        "another": lambda: desk.draw((4, 4), (20, 20), k=9),
        "remove": lambda: desk.contouring.remove_key(7),
    }
    change[way]()
    desk.wait()
    assert not desk.contouring.clicks.undo()
    assert list(desk.keys) == ([9] if way == "another" else [])
