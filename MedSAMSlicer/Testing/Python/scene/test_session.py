"""A session on real MRML: prompts in, progress on the way, and a segment out, or nothing at all."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bright_service import FOLDER, SIGNAL, BrightService, BuggyService
from MedSAMSlicerLib.engine.direct import DirectRunner
from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WorkerError
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.runner import Runner, Stage
from MedSAMSlicerLib.engine.service_types import ModelChoice
from MedSAMSlicerLib.engine.stack_result import StackResult

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.progress import Progress, ProgressMeter  # noqa: E402
from MedSAMSlicerLib.scene.session import Session, State  # noqa: E402
from MedSAMSlicerLib.scene.transports import SubprocessTransport, worker_command, worker_environment  # noqa: E402
from MedSAMSlicerLib.scene.worker_link import WorkerLink  # noqa: E402

SHAPE = (9, 12, 14)
WINDOW = Window(0, 255, "as it is")
BOX = Box(2, 2, 11, 9)


@dataclass
class Told:
    """What a session told its owner."""

    progress: list[Progress] = field(default_factory=list)
    finished: list[StackResult] = field(default_factory=list)
    failed: list[MedSAMError] = field(default_factory=list)

    def start(self, session: Session) -> Told:
        session.start(self.progress.append, self.finished.append, self.failed.append)
        return self

    @property
    def over(self) -> bool:
        assert len(self.finished) + len(self.failed) <= 1
        return bool(self.finished or self.failed)

    @property
    def done(self) -> int:
        return self.progress[-1].done


def drive(session: Session, done: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < 15, "the session came to no end"
        session.step(0.02)


def ball(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(k, j, i) uint8 values: an ellipsoid of 200 in 20."""
    inside = sum(((n - (size - 1) / 2) / (0.32 * size)) ** 2 for n, size in zip(np.indices(shape), shape, strict=True))
    return np.where(inside <= 1, 200, 20).astype(np.uint8)


class Case:
    """A scene with a ball in a volume, a segment for it, a neighbour in its way, and a session."""

    def __init__(self, world: Any, runner: Runner, segment_in: Any, geometry: str = "oblique", **options: Any) -> None:
        self.world, self.runner, self._segment_in = world, runner, segment_in
        self.voxels = ball()
        self.volume = world.volume_in(geometry)
        slicer.util.arrayFromVolume(self.volume)[:] = self.voxels
        self.volume.GetImageData().Modified()
        self.segmentation = world.segmentation(self.volume, "tumour", "neighbour")
        self.session = Session(self.volume, self.segmentation, "tumour", runner, WINDOW, **options)
        self.before = self.fingerprint()

    @property
    def truth(self) -> np.ndarray:
        return self.voxels >= 128

    def signal(self, k: int) -> None:
        """Have the engine fail, or whatever it does on a signal, at slice `k` along K."""
        slicer.util.arrayFromVolume(self.volume)[k, 0, 0] = SIGNAL

    def segment(self, name: str = "tumour") -> np.ndarray:
        return self._segment_in(self.segmentation, name, self.volume)

    def fingerprint(self) -> list[Any]:
        """All that a segmentation holds, to the last bit."""
        segmentation = self.segmentation.GetSegmentation()
        parts: list[Any] = [self.segmentation.GetMTime(), segmentation.GetMTime()]
        for index in range(segmentation.GetNumberOfSegments()):
            segment = segmentation.GetNthSegment(index)
            names: list[str] = []
            segment.GetContainedRepresentationNames(names)
            image = segment.GetRepresentation("Binary labelmap")
            array = None
            if image is not None and image.GetPointData().GetScalars() is not None:
                scalars = image.GetPointData().GetScalars()
                array = bytes(memoryview(scalars)) if scalars.GetNumberOfValues() else b""
            parts.append((segment.GetName(), segment.GetMTime(), tuple(names), image and image.GetExtent(), array))
        return parts

    def untouched(self) -> bool:
        return self.fingerprint() == self.before

    def ready(self) -> Case:
        self.session.set_key(4, BOX)
        self.session.reach = (1, 7)
        return self


@pytest.fixture(params=["direct", "process"])
def make_runner(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Runner]]:
    """Makes runners of an engine of `bright_service`: called directly, or in a process of its own."""
    import bright_service

    made: list[Runner] = []

    def make(service: str = "BrightService") -> Runner:
        if request.param == "direct":
            made.append(DirectRunner(getattr(bright_service, service)()))
        else:
            command = worker_command(f"bright_service:{service}")
            made.append(WorkerLink(lambda: SubprocessTransport(command, worker_environment([FOLDER]))))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


@pytest.fixture
def case(world: Any, make_runner: Callable[..., Runner], segment_in: Any) -> Callable[..., Case]:
    """Makes a case for either way of running."""
    return lambda service="BrightService", **options: Case(world, make_runner(service), segment_in, **options)


@pytest.fixture
def direct(world: Any, segment_in: Any) -> Callable[..., Case]:
    """Makes a case for the engine called directly, where the way of running makes no difference."""
    return lambda service=None, **options: Case(
        world, DirectRunner((service or BrightService)()), segment_in, **options
    )


# From prompt to segment


def test_a_run_is_reported_slice_by_slice_and_applied_in_one_undo_step(case: Callable[..., Case]) -> None:
    one = case().ready()
    assert one.session.state is State.IDLE
    told = Told().start(one.session)
    assert one.session.state is State.RUNNING
    drive(one.session, lambda: told.over)
    assert one.session.state is State.FINISHED
    assert one.untouched()

    assert [progress.done for progress in told.progress][-7:] == [1, 2, 3, 4, 5, 6, 7]
    assert {progress.total for progress in told.progress} == {7}
    assert told.progress[-1].stage is Stage.SEGMENTING
    assert told.progress[-1].remaining == 0
    assert one.session.info is not None and one.session.info.timings.decoder_calls == 7
    assert [result.index for result in told.finished[0]] == [1, 2, 3, 4, 5, 6, 7]
    assert [result.index for result in told.finished[0] if result.key] == [4]

    written = one.session.apply()
    assert written.voxels == np.count_nonzero(one.truth)
    np.testing.assert_array_equal(one.segment(), one.truth)
    assert not one.segment("neighbour").any()
    assert one.session.writer.logic.Undo() is not False
    assert not one.segment().any()


def test_the_segment_is_where_the_ball_is_in_every_geometry(
    direct: Callable[..., Case], geometry: str, axis: str
) -> None:
    one = direct(geometry=geometry, axis=axis)
    slices, rows, columns = one.session.stack.shape
    one.session.set_key(slices // 2, Box.of_slice(rows, columns))
    one.session.start()
    result = one.session.wait()
    assert result.shape == (slices, rows, columns)
    one.session.apply()
    np.testing.assert_array_equal(one.segment(), one.truth)


def test_without_a_reach_the_total_is_unknown_until_the_end(direct: Callable[..., Case]) -> None:
    one = direct()
    one.session.set_key(4, BOX)
    told = Told().start(one.session)
    one.session.wait()
    assert {(progress.total, progress.remaining) for progress in told.progress} == {(None, None)}
    np.testing.assert_array_equal(one.session.result.to_stack(), one.truth)


@pytest.mark.parametrize("mode", ["add", "replace", "remove"])
def test_a_result_is_added_put_in_place_or_taken_away(direct: Callable[..., Case], mode: str) -> None:
    one = direct().ready()
    drawn = np.zeros(SHAPE, bool)
    drawn[2:5, 2:9, 2:9] = True
    one.session.writer.write(drawn, one.volume, "tumour")
    one.session.start()
    one.session.wait()
    one.session.apply(mode)
    expected = {"add": drawn | one.truth, "replace": one.truth, "remove": drawn & ~one.truth}[mode]
    np.testing.assert_array_equal(one.segment(), expected)


def test_the_key_slices_of_a_prompt_can_be_corrected_before_the_next_run(direct: Callable[..., Case]) -> None:
    session = direct().session
    session.set_prompt(StackPrompt.from_box3d(1, 7, BOX))
    assert (dict(session.keys), session.reach, session.bounds) == ({4: BOX}, (1, 7), BOX)
    session.set_key(2, Box(4, 4, 6, 6))
    session.set_key(3, BOX)
    session.remove_key(3)
    session.remove_key(5)
    assert dict(session.prompt.keys) == {2: Box(4, 4, 6, 6), 4: BOX}
    session.start()
    assert [result.index for result in session.wait() if result.key] == [2, 4]


def test_previews_and_encoding_ahead_write_nothing(case: Callable[..., Case]) -> None:
    one, predictions = case(), list[Prediction]()
    one.session.prepare(4)
    one.session.preview(4, BOX, predictions.append)
    drive(one.session, lambda: one.runner.idle)
    np.testing.assert_array_equal(predictions[0].mask, one.truth[4])
    assert one.untouched() and one.session.state is State.IDLE


def test_the_automatic_window_is_found_once_and_follows_its_name(direct: Callable[..., Case]) -> None:
    one = direct()
    one.session.window = "auto"
    one.session.set_key(4, BOX)
    one.session.start()
    np.testing.assert_array_equal(one.session.wait().to_stack(), one.truth)
    one.session.window = "110,20"
    one.session.start()
    np.testing.assert_array_equal(one.session.wait().to_stack(), one.truth)
    one.session.window = "nonsense"
    with pytest.raises(InputError, match="nonsense"):
        one.session.start()


# Cancel and failure


@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_a_run_cancelled_at_any_slice_leaves_the_segmentation_bit_for_bit(
    case: Callable[..., Case], stop_at: int
) -> None:
    one = case("SlowService").ready()
    told = Told().start(one.session)
    drive(one.session, lambda: bool(told.progress) and told.done >= stop_at)
    one.session.cancel()
    drive(one.session, lambda: told.over)
    assert one.session.state is State.CANCELLED
    assert isinstance(told.failed[0], Cancelled)
    assert one.session.result is None
    assert stop_at <= told.done < stop_at + 3
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert one.untouched()
    told = Told().start(one.session)
    one.session.wait()
    assert told.done == 7


def test_a_failed_run_leaves_the_segmentation_bit_for_bit(case: Callable[..., Case]) -> None:
    one = case("BuggyService").ready()
    one.signal(6)
    told = Told().start(one.session)
    with pytest.raises(WorkerError, match="broadcast"):
        one.session.wait()
    assert one.session.state is State.FAILED and one.session.error is told.failed[0]
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert one.untouched()


def test_a_process_that_dies_leaves_the_segmentation_bit_for_bit(world: Any, segment_in: Any) -> None:
    command = worker_command("bright_service:DyingService")
    runner = WorkerLink(lambda: SubprocessTransport(command, worker_environment([FOLDER])))
    one = Case(world, runner, segment_in).ready()
    one.signal(6)
    one.session.start()
    with pytest.raises(WorkerError, match="giving up"):
        one.session.wait()
    assert one.session.state is State.FAILED
    assert one.untouched()
    runner.close()


LEAVE: dict[str, Callable[[Case], Any]] = {
    "volume deleted": lambda one: one.world.scene.RemoveNode(one.volume),
    "segmentation deleted": lambda one: one.world.scene.RemoveNode(one.segmentation),
    "segment deleted": lambda one: one.segmentation.GetSegmentation().RemoveSegment("tumour"),
    "scene closed": lambda one: one.world.scene.Clear(False),
}


@pytest.mark.parametrize("leave", LEAVE)
def test_a_run_ends_cleanly_when_what_it_works_on_leaves_the_scene(case: Callable[..., Case], leave: str) -> None:
    one = case("SlowService").ready()
    told = Told().start(one.session)
    drive(one.session, lambda: bool(told.progress) and told.done >= 2)
    LEAVE[leave](one)
    drive(one.session, lambda: told.over)
    assert type(told.failed[0]) is InputError
    assert leave.split()[0] in str(told.failed[0]) and "nothing was written" in str(told.failed[0])
    assert one.session.state is State.FAILED
    assert told.done < 5
    for call in (one.session.start, one.session.apply):
        with pytest.raises(InputError):
            call()
    segmentation = one.segmentation.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        labelmap = segmentation.GetNthSegment(index).GetRepresentation("Binary labelmap")
        assert labelmap is None or labelmap.IsEmpty() or labelmap.GetScalarRange()[1] == 0


@pytest.mark.parametrize("leave", LEAVE)
def test_a_result_is_not_written_to_what_has_left_the_scene(direct: Callable[..., Case], leave: str) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    LEAVE[leave](one)
    assert one.session.state is State.FINISHED
    with pytest.raises(InputError, match="deleted|no segment"):
        one.session.apply()


def test_another_segment_may_be_deleted_during_a_run(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    told = Told().start(one.session)
    one.session.step()
    one.segmentation.GetSegmentation().RemoveSegment("neighbour")
    one.world.scene.RemoveNode(one.world.volume_in("oblique"))
    one.session.wait()
    assert told.done == 7


def test_a_result_is_not_written_into_a_volume_of_another_size(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    other = one.world.volume(np.zeros((9, 12, 15), np.uint8))
    one.volume.SetAndObserveImageData(other.GetImageData())
    with pytest.raises(InputError, match="run it again"):
        one.session.apply()


def test_the_volume_is_only_read(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    before = slicer.util.arrayFromVolume(one.volume).copy()
    one.session.start()
    one.session.wait()
    one.session.apply()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(one.volume), before)


# What is refused


def test_prompts_that_cannot_be_used_are_refused_when_they_are_given(direct: Callable[..., Case]) -> None:
    session = direct().session
    with pytest.raises(InputError, match="slice 9"):
        session.set_key(9, BOX)
    with pytest.raises(InputError, match="outside the slice"):
        session.set_key(0, Box(0, 0, 14, 5))
    with pytest.raises(InputError, match="slice -1"):
        session.set_prompt(StackPrompt({-1: BOX}))
    with pytest.raises(InputError):
        session.preview(9, BOX, lambda _: None)
    with pytest.raises(InputError):
        session.prepare(9)
    assert not session.keys
    with pytest.raises(InputError, match="no box"):
        session.start()
    assert session.state is State.IDLE


def test_a_second_start_and_an_early_apply_are_refused(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    with pytest.raises(InputError, match="no run"):
        one.session.wait()
    one.session.start()
    with pytest.raises(InputError, match="already"):
        one.session.start()
    with pytest.raises(InputError, match="no result"):
        one.session.apply()
    assert len(one.session.wait()) == 7


def test_a_runner_that_is_busy_for_another_session_leaves_the_result_in_place(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    other = Session(one.volume, one.segmentation, "neighbour", one.runner, WINDOW)
    other.set_key(4, BOX)
    other.start()
    with pytest.raises(InputError, match="already"):
        one.session.start()
    assert one.session.state is State.FINISHED and one.session.result is not None
    other.wait()


def test_nodes_that_cannot_be_used_are_refused_at_once(direct: Callable[..., Case], world: Any) -> None:
    one = direct()
    arguments = {"volume_node": one.volume, "segmentation_node": one.segmentation, "segment_id": "tumour"}
    for wrong, message in (
        ({"volume_node": None}, "no volume"),
        ({"segmentation_node": None}, "no segmentation"),
        ({"segment_id": "liver"}, "liver"),
        ({"volume_node": slicer.vtkMRMLScalarVolumeNode()}, "deleted"),
        ({"volume_node": world.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")}, "no voxels"),
        ({"axis": "X"}, "axis 'X'"),
    ):
        with pytest.raises(InputError, match=message):
            Session(**{**arguments, "runner": one.runner, "window": WINDOW, **wrong})


# The end of a session


def test_a_closed_session_has_let_go_of_the_scene_and_leaves_the_runner_open(direct: Callable[..., Case]) -> None:
    one = direct().ready()
    one.session.start()
    one.session.wait()
    one.session.apply()
    count = one.world.scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    assert count == 1
    told = Told().start(one.session)
    one.session.close()
    assert isinstance(told.failed[0], Cancelled)
    assert one.world.scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 0
    again = Session(one.volume, one.segmentation, "tumour", one.runner, WINDOW, choice=ModelChoice("medsam"))
    again.set_key(4, BOX)
    again.start()
    again.wait()
    assert again.info is not None and again.info.loaded is not None and again.info.loaded.model == "medsam"


def test_the_scene_does_not_keep_a_forgotten_session_alive(direct: Callable[..., Case]) -> None:
    one = direct()
    forgotten = weakref.ref(one.session)
    del one.session
    gc.collect()
    assert forgotten() is None
    one.world.scene.RemoveNode(one.volume)


# Progress and result by themselves


def test_the_time_left_is_reckoned_from_the_slices_and_not_from_loading() -> None:
    now = [0.0]
    meter = ProgressMeter(10, clock=lambda: now[0])
    now[0] = 30.0
    assert meter.enter(Stage.SEGMENTING) == Progress(Stage.SEGMENTING, 0, 10, 30.0, None)
    for _ in range(4):
        now[0] += 2.0
        progress = meter.count()
    assert progress == Progress(Stage.SEGMENTING, 4, 10, 38.0, 12.0)


def test_a_mistake_in_the_engine_is_the_cause_of_the_error_told(direct: Callable[..., Case]) -> None:
    one = direct(BuggyService).ready()
    one.signal(4)
    one.session.start()
    with pytest.raises(WorkerError) as raised:
        one.session.wait()
    assert isinstance(raised.value.__cause__, ValueError)
