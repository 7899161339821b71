"""A contour from the first rectangle to the corrected result, without Qt: the engine finds bright pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import bright_service
from bright_service import BrightService
from MedSAMSlicerLib.engine.direct import DirectRunner
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.runner import Runner

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.contouring import Contouring  # noqa: E402
from MedSAMSlicerLib.scene.effect_parameters import EffectParameters  # noqa: E402
from MedSAMSlicerLib.scene.prompts import KeySlice, Prompts  # noqa: E402
from MedSAMSlicerLib.scene.reach import set_reach_end  # noqa: E402
from MedSAMSlicerLib.scene.transports import SubprocessTransport, worker_command, worker_environment  # noqa: E402
from MedSAMSlicerLib.scene.view_plane import Plane, ViewGeometry  # noqa: E402
from MedSAMSlicerLib.scene.worker_link import WorkerLink  # noqa: E402

SHAPE = (15, 40, 44)
SPACING = (1.0, 1.0, 2.0)
CORNERS = {
    "axial": np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]).T,
    "coronal": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]).T,
}


class CountingService(BrightService):
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


class Desk:
    """A volume with a bright ball, a segment for it, views on it, and somebody who draws."""

    def __init__(self, world: Any, runner: Runner) -> None:
        self.world, self.runner = world, runner
        inside = sum(
            ((n - (size - 1) / 2) * mm / 9) ** 2
            for n, size, mm in zip(np.indices(SHAPE), SHAPE, SPACING[::-1], strict=True)
        )
        self.truth = inside <= 1
        self.volume = world.volume(np.where(self.truth, 200, 20).astype(np.int16), SPACING)
        self.segmentation = world.segmentation(self.volume, "tumour", "other")
        self.node = world.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.parameters = EffectParameters(self.node)
        self.parameters.set_defaults()
        self.parameters.set("Window", "127.5,255")
        self.changes: list[int] = []
        self.results = 0
        self.contouring = self.open()

    def open(self, segment: str = "tumour") -> Contouring:
        return Contouring(
            self.volume, self.segmentation, segment, self.runner, self.parameters,
            lambda: self.changes.append(1), self._count_result,
        )  # fmt: skip

    def _count_result(self) -> None:
        self.results += 1

    def view(self, k: float, name: str = "axial", turned: np.ndarray | None = None) -> ViewGeometry:
        """A view of 200 x 200 pixels and 100 x 100 mm through the middle of the volume; `k`: its slice, if axial."""
        node = self.world.scene.AddNewNodeByClass("vtkMRMLSliceNode")
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
        assert self.contouring.press(view, (100 - pixels, 100 - pixels), add), self.contouring.problem
        for n in range(1, 5):
            self.contouring.move((100 - pixels + n * pixels / 2, 100 - pixels + n * pixels / 2))
            self.contouring.step()
        self.contouring.release((100 + pixels, 100 + pixels))
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
        result, plane = self.contouring.result, self.contouring.plane
        assert result is not None
        return np.asarray(self.contouring.stack(plane).to_volume(result.to_stack()))

    @property
    def keys(self) -> dict[int, KeySlice]:
        return {} if self.contouring.prompts is None else dict(self.contouring.prompts.keys)


@pytest.fixture
def service() -> CountingService:
    return CountingService()


@pytest.fixture
def desk(world: Any, service: CountingService) -> Desk:
    return Desk(world, DirectRunner(service))


@pytest.fixture
def desk_with(world: Any) -> Iterator[Callable[[str], Desk]]:
    """A desk whose engine is a service of `bright_service` in a process of its own."""
    links: list[WorkerLink] = []

    def make(service: str) -> Desk:
        command = worker_command(f"bright_service:{service}")
        environment = worker_environment([bright_service.FOLDER])
        links.append(WorkerLink(lambda: SubprocessTransport(command, environment)))
        return Desk(world, links[-1])

    yield make
    for link in links:
        link.close()


def test_a_rectangle_becomes_the_whole_object(desk: Desk) -> None:
    desk.draw(desk.view(7))
    assert (desk.mask == desk.truth).all()
    assert desk.results == 1
    assert desk.contouring.problem is None
    assert list(desk.keys) == [7] and desk.keys[7].origin == "drawn"


def test_the_mask_is_seen_while_the_rectangle_is_drawn(desk: Desk) -> None:
    view = desk.view(7)
    desk.contouring.press(view, (60, 60), False)
    desk.contouring.move((90, 90))
    desk.wait(lambda: desk.contouring.rectangle.image is not None)
    shown = desk.contouring.rectangle
    assert shown.shown.box == shown.drag.box
    first = shown.image.values.sum()
    desk.contouring.move((150, 150))
    desk.wait(lambda: shown.shown.box == shown.drag.box)
    assert shown.image.values.sum() > first
    assert (shown.image.values[0] == desk.truth[7]).all()
    assert desk.contouring.result is None


@pytest.mark.parametrize("name", ["axial", "coronal"])
def test_every_standard_view_uses_the_volumes_own_slices(desk: Desk, name: str) -> None:
    desk.draw(desk.view(7, name))
    assert desk.contouring.plane == Plane("K" if name == "axial" else "J")
    assert (desk.mask == desk.truth).all()


def test_an_oblique_view_is_contoured_in_its_own_plane(desk: Desk, turn: Any) -> None:
    desk.draw(desk.view(7, turned=turn(0, 30, 0)))
    assert desk.contouring.plane.axis is None
    mask = desk.mask
    assert 2 * (mask & desk.truth).sum() / (mask.sum() + desk.truth.sum()) > 0.93
    before = desk.contouring.result
    desk.draw(desk.view(7.5, turned=turn(0, 30, 0)), add=True)
    assert len(desk.keys) == 2
    assert desk.contouring.result is not before


def test_a_rectangle_in_a_view_turned_in_its_plane_holds_all_four_corners(desk: Desk, turn: Any) -> None:
    desk.draw(desk.view(7, turned=turn(0, 0, 45)))
    assert desk.contouring.plane == Plane("K")
    box = desk.keys[7].box
    assert box.width == pytest.approx(12 * 2 * 2**0.5, abs=1.5)


def test_escape_while_drawing_leaves_everything_as_it_was(desk: Desk) -> None:
    desk.draw(desk.view(7))
    result = desk.contouring.result
    desk.contouring.press(desk.view(5), (60, 60), False)
    desk.contouring.move((150, 150))
    assert desk.contouring.escape()
    desk.contouring.release((150, 150))
    desk.wait()
    assert list(desk.keys) == [7]
    assert desk.contouring.result is result
    assert desk.contouring.rectangle.image is None
    assert not desk.contouring.escape()


def test_escape_during_the_run_drops_the_rectangle_that_began_it(desk: Desk) -> None:
    desk.draw(desk.view(7))
    before = desk.contouring.result
    desk.draw(desk.view(4), add=True, wait=False)
    assert desk.contouring.running
    assert desk.contouring.escape()
    desk.wait()
    assert list(desk.keys) == [7]
    assert desk.contouring.result is before
    assert (desk.contouring.kept.image.values.astype(bool) == desk.truth).all()


def test_a_click_is_no_rectangle(desk: Desk) -> None:
    desk.contouring.press(desk.view(7), (100, 100), False)
    desk.contouring.move((102, 101))
    desk.contouring.release((102, 101))
    assert desk.keys == {} and not desk.contouring.running


def test_a_rectangle_beside_the_image_is_refused_in_words(desk: Desk) -> None:
    assert not desk.contouring.press(desk.view(7), (2, 2), False)
    assert "outside of the volume" in str(desk.contouring.problem)


def test_drawing_again_on_a_key_slice_replaces_its_rectangle(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(4), add=True)
    first = desk.keys[7].box
    desk.draw(desk.view(7), half=5)
    assert list(desk.keys) == [4, 7]
    assert desk.keys[7].box.width < first.width
    assert desk.keys[7].origin == desk.keys[4].origin == "corrected"


def test_drawing_without_shift_elsewhere_begins_anew(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(5))
    assert list(desk.keys) == [5]
    desk.draw(desk.view(7, "coronal"))
    assert desk.contouring.plane == Plane("J")
    assert len(desk.keys) == 1


def test_a_key_slice_cannot_be_added_in_another_plane(desk: Desk) -> None:
    desk.draw(desk.view(7))
    assert not desk.contouring.press(desk.view(7, "coronal"), (60, 60), True)
    assert "another plane" in str(desk.contouring.problem)
    assert (desk.mask == desk.truth).all()


def test_only_what_lies_between_the_neighbours_of_a_change_is_run_again(desk: Desk, service: CountingService) -> None:
    for n, k in enumerate((4, 7, 10)):
        desk.draw(desk.view(k), add=n > 0)
    whole = desk.contouring.result
    service.computed.clear()
    desk.draw(desk.view(7), half=5)
    assert sorted(index + 4 for index in service.computed) == [4, 5, 6, 7, 8, 9, 10]
    changed = desk.contouring.result
    for index in (3, 4, 10, 11):
        assert (changed[index].mask == whole[index].mask).all()
    assert changed[7].mask.sum() < whole[7].mask.sum()
    service.computed.clear()
    desk.contouring.remove_key(10)
    desk.wait()
    assert min(index + 7 for index in service.computed) == 7
    assert (desk.contouring.result[5].mask == changed[5].mask).all()
    assert sorted(found.index for found in desk.contouring.result) == sorted(found.index for found in whole)


def test_removing_the_last_key_slice_forgets_the_result(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.contouring.remove_key(7)
    assert desk.contouring.result is None and desk.contouring.kept.image is None and desk.keys == {}


def test_another_window_or_model_makes_all_of_it_anew(desk: Desk, service: CountingService) -> None:
    desk.draw(desk.view(4))
    desk.draw(desk.view(10), add=True)
    service.computed.clear()
    desk.parameters.set("Window", "130,255")
    desk.draw(desk.view(7), add=True)
    assert len(service.computed) == len(desk.contouring.result)


def test_reach_of_one_slice(desk: Desk) -> None:
    desk.parameters.set("Reach", "slice")
    desk.draw(desk.view(7))
    assert desk.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [7]
    desk.draw(desk.view(9), add=True)
    assert "choose another reach" in str(desk.contouring.problem)


def test_reach_from_slice_to_slice(desk: Desk) -> None:
    set_reach_end(desk.parameters, "ReachStart", 9, Plane("K"))
    desk.draw(desk.view(7))
    assert "From here" in str(desk.contouring.problem)
    set_reach_end(desk.parameters, "ReachEnd", 5, Plane("K"))
    desk.contouring.run()
    desk.wait()
    assert desk.mask.any(axis=(1, 2)).nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    assert desk.contouring.progress is None
    desk.draw(desk.view(7, "coronal"))
    assert "another plane" in str(desk.contouring.problem)


def test_a_rotated_roi_is_a_3d_box(desk: Desk, turn: Any) -> None:
    center = desk.position(7, 19.5, 21.5)
    desk.contouring.take_roi(desk.world.roi(center, (30, 30, 12), turn(0, 0, 30)))
    desk.wait()
    slices = desk.mask.any(axis=(1, 2)).nonzero()[0]
    assert (slices.min(), slices.max()) == (4, 10)
    assert (desk.mask[5] == desk.truth[5]).all()
    assert [key.origin for key in desk.keys.values()] == ["roi"]
    desk.contouring.take_roi(desk.world.roi((900, 900, 900), (3, 3, 3)))
    assert "lies outside the volume" in str(desk.contouring.problem)
    assert len(desk.keys) == 1


@pytest.fixture
def all_bright(desk: Desk) -> Desk:
    """The engine finds all that it may find."""
    slicer.util.arrayFromVolume(desk.volume)[:] = 200
    slicer.util.arrayFromVolume(desk.volume)[0, 0, 0] = 20
    desk.volume.Modified()
    return desk


def inside(desk: Desk, roi: Any) -> np.ndarray:
    """Which voxels' centres Slicer says to lie in the ROI."""
    return np.array([roi.IsPointInROIWorld(desk.position(*at).tolist()) for at in np.ndindex(*SHAPE)]).reshape(SHAPE)


def test_the_result_is_the_rotated_roi_itself_where_all_of_it_is_object(all_bright: Desk, turn: Any) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.3), (17, 11, 13), turn(20, -35, 30))
    desk.contouring.take_roi(roi)
    desk.wait()
    assert (desk.mask == inside(desk, roi)).all()
    assert desk.mask.sum() < 0.6 * np.prod([np.ptp(n) + 1 for n in desk.mask.nonzero()])
    kept = desk.contouring.prompts
    assert kept.solid is not None and Prompts.from_content(kept.content()) == kept


def test_what_is_drawn_by_hand_may_leave_the_roi_on_its_slice_alone(all_bright: Desk, turn: Any) -> None:
    desk = all_bright
    roi = desk.world.roi(desk.position(7, 19.4, 21.2), (14, 14, 13), turn(0, 0, 45))
    desk.contouring.take_roi(roi)
    desk.wait()
    desk.draw(desk.view(9), add=True, half=9)
    within = inside(desk, roi)
    box = desk.keys[9].box
    drawn = np.zeros(SHAPE[1:], bool)
    drawn[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    assert (desk.mask[9] == drawn).all() and (drawn & ~within[9]).any()
    others = np.arange(SHAPE[0]) != 9
    assert not (desk.mask & ~within)[others].any()


def test_an_roi_along_the_voxels_needs_nothing_but_its_box(all_bright: Desk) -> None:
    roi = all_bright.world.roi(all_bright.position(7, 19.4, 21.3), (17, 11, 13))
    all_bright.contouring.take_roi(roi)
    all_bright.wait()
    assert all_bright.contouring.prompts.solid is None
    assert (all_bright.mask == inside(all_bright, roi)).all()


def test_prompts_go_with_the_scene_and_come_back_for_each_segment(desk: Desk) -> None:
    desk.draw(desk.view(7))
    desk.draw(desk.view(9), add=True)
    drawn = desk.contouring.prompts
    desk.contouring.close()
    assert desk.open("other").prompts is None
    again = desk.open("tumour")
    assert again.prompts == drawn
    again.discard()
    assert desk.open("tumour").prompts is None
    desk.parameters.node.SetAttribute("MedSAM.Prompts", '{"tumour": {"plane": "K"}}')
    assert "cannot be read" in str(desk.open("tumour").problem)


def test_a_script_may_set_the_prompts(desk: Desk) -> None:
    prompts = Prompts(Plane("K"), {7: KeySlice(Box(8, 6, 35, 33))})
    desk.parameters.set_prompts_of("tumour", desk.volume, desk.segmentation, prompts.content())
    desk.contouring.read_prompts()
    desk.contouring.run()
    desk.wait()
    assert (desk.mask == desk.truth).all()


def test_cancel_comes_fast_and_keeps_the_rectangle(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("SlowService")
    desk.draw(desk.view(7), wait=False)
    desk.wait(lambda: desk.contouring.progress is not None and desk.contouring.progress.done > 1)
    begin = time.monotonic()
    desk.contouring.cancel()
    assert not desk.contouring.running
    desk.wait()
    assert time.monotonic() - begin < 0.5
    assert desk.contouring.result is None and desk.contouring.kept.image is None
    assert desk.contouring.problem is None
    assert list(desk.keys) == [7]
    desk.contouring.run()
    desk.wait()
    assert (desk.mask == desk.truth).all()


def test_a_rectangle_during_a_run_takes_its_place(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("SlowService")
    desk.draw(desk.view(7), wait=False)
    desk.wait(lambda: desk.contouring.progress is not None and desk.contouring.progress.done > 1)
    desk.draw(desk.view(9), add=True)
    assert (desk.mask == desk.truth).all()
    assert list(desk.keys) == [7, 9]
    assert desk.results == 1


def test_a_process_that_dies_is_told_and_replaced(desk_with: Callable[[str], Desk]) -> None:
    desk = desk_with("DyingService")
    voxels = slicer.util.arrayFromVolume(desk.volume)
    voxels[9, 0, 0] = bright_service.SIGNAL
    desk.parameters.set("Window", "127.5,255")
    voxels[0, 0, 1], voxels[0, 0, 2] = 0, 255
    desk.volume.GetImageData().Modified()
    desk.draw(desk.view(7))
    assert "ended unexpectedly" in str(desk.contouring.problem)
    assert desk.contouring.result is None
    voxels[9, 0, 0] = 20
    desk.volume.GetImageData().Modified()
    desk.contouring.run()
    desk.wait()
    assert desk.contouring.problem is None and desk.contouring.result is not None


@pytest.mark.parametrize("what", ["segment", "segmentation", "volume", "scene"])
def test_what_leaves_the_scene_takes_its_result_with_it(desk: Desk, what: str) -> None:
    desk.draw(desk.view(7), wait=False)
    if what == "segment":
        desk.segmentation.GetSegmentation().RemoveSegment("tumour")
    elif what == "scene":
        desk.world.scene.Clear(0)
    else:
        desk.world.scene.RemoveNode(getattr(desk, what))
    desk.wait()
    assert desk.contouring.gone
    assert desk.contouring.result is None and desk.results == 0
    assert desk.contouring.problem is not None
    assert not desk.contouring.press(desk.view(7), (60, 60), False) if what != "scene" else True


def test_the_slices_around_the_view_are_encoded_while_nothing_is_to_be_done(
    desk: Desk, service: CountingService
) -> None:
    desk.contouring.look_at(desk.view(5))
    desk.wait(lambda: len(service.encoded) >= 3)
    desk.contouring.press(desk.view(5), (60, 60), False)
    encoded = len(service.encoded)
    for _ in range(20):
        desk.contouring.step()
    assert len(service.encoded) == encoded
    desk.contouring.escape()
    desk.parameters.set("EncodeAhead", "0")
    desk.contouring.look_at(desk.view(9))
    desk.wait()
    assert len(service.encoded) == encoded


def test_switched_off_while_slices_are_waiting_nothing_more_is_encoded(desk: Desk, service: CountingService) -> None:
    desk.contouring.look_at(desk.view(5))
    desk.wait(lambda: len(service.encoded) >= 1)
    desk.parameters.set("EncodeAhead", "0")
    encoded = len(service.encoded)
    desk.wait()
    # The one that was under way may still come.
    assert len(service.encoded) <= encoded + 1


def test_options_that_make_no_sense_are_told_when_they_matter(desk: Desk) -> None:
    desk.node.SetAttribute("MedSAM.Window", "nonsense")
    desk.draw(desk.view(7))
    assert "Window is 'nonsense'" in str(desk.contouring.problem)
    desk.parameters.set("Window", "5000,10")
    desk.contouring.run()
    desk.wait()
    assert "shows nothing" in str(desk.contouring.problem)
    assert desk.contouring.result is None
