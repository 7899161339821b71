"""Rendering a view takes a fifth of a second, as it does without a graphics card: the application stays responsive."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest

from host.fakes import off_screen
from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.serving import codec
from support.fake_worker_process import FakeWorkerProcess

RENDER_MILLISECONDS = 200.0
VIEWS = ("Red", "Yellow", "Green")
ORDER = (10, *range(11, 20), *range(9, -1, -1))


class Views:
    """Counts in which turns of the event loop the views were rendered.

    Attributes:
        begin: the turn after which they are counted.
    """

    def __init__(self, host: Any) -> None:
        self.host, self.begin = host, host.clock.cycle

    def rendered(self, view: str) -> list[int]:
        """Turns of the event loop since `begin` in which the view was rendered."""
        cycles = self.host.user.view(view).sliceView().rendered
        return [cycle for cycle in cycles if cycle > self.begin]

    @property
    def renders(self) -> Counter[int]:
        """Turns of the event loop since `begin`, with the number of views that were rendered in each."""
        return Counter(cycle for view in VIEWS for cycle in self.rendered(view))


class SlowViews(Views):
    """An effect with a run under way, whose results come every 20 ms, three times as fast as a decoder makes them."""

    def __init__(self, effect_fixture: Any) -> None:
        super().__init__(effect_fixture.host)
        self.fixture, self.worker = effect_fixture, FakeWorkerProcess()
        self.clock = self.host.clock
        effect_fixture.effect.make_transport = lambda: self.worker
        effect_fixture.effect._run_display._clock = lambda: self.clock.now / 1000
        effect_fixture.effect.scriptedEffect.setParameter("EncodeAhead", "0")
        self.host.rendering.milliseconds = RENDER_MILLISECONDS
        effect_fixture.drag(wait=False)
        self.clock.advance(1000)
        self.worker.greet()
        self.clock.advance(1000)
        [self.job] = self.worker.jobs("segment")
        for preview in self.worker.jobs("preview"):
            self.worker.say("superseded", {"job": preview})
        self.clock.advance(2000)
        self.found: list[int] = []
        self.seen: list[tuple[int, int]] = []
        for number, index in enumerate(ORDER):
            self.clock.post(lambda index=index: self.find(index), 20.0 * (number + 1))
        self.begin = self.clock.cycle  # from the first result on

    def find(self, index: int) -> None:
        mask = np.zeros((60, 80), bool)
        mask[20:40, 30:50] = True
        self.worker.find(index, mask, job=self.job)
        self.found.append(index)


@pytest.fixture
def slow(effect_fixture: Any) -> SlowViews:
    return SlowViews(effect_fixture)


def test_one_view_is_rendered_in_a_turn_of_the_event_loop_and_all_messages_are_read_before(slow: SlowViews) -> None:
    started = slow.clock.now
    slow.clock.advance(20.0 * len(ORDER))
    editor = slow.fixture.contouring
    assert slow.found == list(ORDER) and editor.progress.done == len(ORDER)
    renders = slow.renders
    assert renders and max(renders.values()) == 1
    # Without pacing, each of the results would have all three views rendered.
    assert sum(renders.values()) <= (slow.clock.now - started) / RENDER_MILLISECONDS + 1 < len(ORDER)
    slow.clock.advance(3000)
    slow.worker.say("finished", {"job": slow.job, **codec.info_fields(RunInfo())})
    slow.clock.advance(3000)
    assert max(slow.renders.values()) == 1, "the end of a run has all views rendered, one by one"
    assert slow.fixture.visible("result", "Green") and editor.result is not None


def test_where_rendering_is_slow_most_of_the_time_is_left_to_the_engine(slow: SlowViews) -> None:
    mask = np.ones((60, 80), bool)
    for number in range(600):
        send = partial(slow.worker.find, 10 + number % 3, mask, slow.job, provisional=True)
        slow.clock.post(send, 1000.0 + 20.0 * number)
    slow.find = lambda _index: None
    slow.clock.advance(1000)
    slow.begin, started = slow.clock.cycle, slow.clock.now
    slow.clock.advance(11_000)
    share = sum(slow.renders.values()) * RENDER_MILLISECONDS / (slow.clock.now - started)
    assert 0.2 < share < 0.45, "new results come all the time"


def test_after_a_pause_the_first_result_is_drawn_at_once(effect_fixture: Any) -> None:
    host, worker = effect_fixture.host, FakeWorkerProcess()
    effect_fixture.effect.make_transport = lambda: worker
    effect_fixture.effect._run_display._clock = lambda: host.clock.now / 1000
    effect_fixture.effect.scriptedEffect.setParameter("EncodeAhead", "0")
    host.rendering.milliseconds = 5.0
    host.clock.advance(60_000)
    effect_fixture.drag(wait=False)
    host.clock.advance(50)
    worker.greet()
    host.clock.advance(50)
    [job] = worker.jobs("segment")
    for preview in worker.jobs("preview"):
        worker.say("superseded", {"job": preview})
    worker.find(10, np.ones((60, 80), bool), job, provisional=True)
    views = Views(host)
    host.clock.advance(250)
    assert views.rendered("Red") and effect_fixture.visible("result")


def test_a_view_is_rendered_only_for_slices_that_it_shows(slow: SlowViews) -> None:
    slow.host.rendering.milliseconds = 10.0
    slow.clock.advance(20.0 * len(ORDER) + 1000)
    assert len(slow.rendered("Red")) == 1, "the axial view shows one of the slices"
    for view in ("Yellow", "Green"):
        assert 2 <= len(slow.rendered(view)) <= 7, "at most ten times a second, for 0.4 s of results"


def test_a_cancel_drops_what_is_queued(slow: SlowViews) -> None:
    slow.clock.advance(100)
    done = slow.fixture.contouring.progress.done
    assert 0 < done < len(ORDER)
    slow.host.user.click(slow.fixture.ui.cancelButton)
    assert not slow.fixture.contouring.running and not slow.fixture.ui.progressFrame.visible
    slow.begin = slow.clock.cycle
    slow.clock.advance(5000)
    assert len(slow.found) == len(ORDER), "the process goes on until it reads the cancel"
    assert slow.fixture.contouring.result is None and not slow.fixture.visible("result")
    renders = slow.renders
    assert max(renders.values()) == 1 and sum(renders.values()) <= 4, "each view once, and the one that was under way"
    assert slow.fixture.ui.problemLabel.text == ""


def test_a_backlog_is_read_before_anything_is_drawn_and_in_portions(effect_fixture: Any) -> None:
    """After a time in which the application was busy, 60 results wait. Each takes 3 ms by the clock of this test."""
    host, worker = effect_fixture.host, FakeWorkerProcess()
    effect_fixture.effect.make_transport = lambda: worker
    effect_fixture.effect._controller.client._clock = itertools.count(0, 0.003).__next__
    effect_fixture.effect._run_display._clock = lambda: host.clock.now / 1000
    effect_fixture.effect.scriptedEffect.setParameter("EncodeAhead", "0")
    effect_fixture.drag(wait=False)
    host.clock.advance(100)
    worker.greet()
    host.clock.advance(3000)
    [job], mask = worker.jobs("segment"), np.zeros((60, 80), bool)
    views, editor, done = Views(host), effect_fixture.contouring, [0]
    worker.say_together([worker.result(index, mask, job) for index in ORDER])
    while editor.progress.done < len(ORDER):
        done.append(editor.progress.done)
        host.clock.advance(1)
    portions = np.diff([*done, len(ORDER)])
    assert portions.max() <= 4 and sum(views.renders.values()) == 0, "nothing is drawn while results wait"
    host.clock.advance(1000)
    assert max(views.renders.values()) == 1


def test_a_cancel_drops_a_backlog(slow: SlowViews) -> None:
    editor = slow.fixture.contouring
    slow.fixture.effect._controller.client._process._clock = itertools.count(0, 0.003).__next__
    mask = np.ones((60, 80), bool)
    slow.worker.say_together([slow.worker.result(index, mask, slow.job) for index in ORDER])
    done = editor.progress.done
    assert 0 < done <= 4 and slow.fixture.effect._controller.client.reading
    slow.find = lambda _index: None
    slow.host.user.click(slow.fixture.ui.cancelButton)
    assert not slow.fixture.effect._controller.client.reading and editor.state.current.result is None
    slow.begin = slow.clock.cycle
    slow.clock.advance(2000)
    assert max(slow.renders.values()) == 1 and sum(slow.renders.values()) <= 3
    assert not slow.fixture.visible("result") and slow.fixture.ui.problemLabel.text == ""


def test_a_preview_is_rendered_in_the_turn_in_which_it_comes(effect_fixture: Any) -> None:
    host, worker, user = effect_fixture.host, FakeWorkerProcess(), effect_fixture.host.user
    effect_fixture.effect.make_transport = lambda: worker
    mask, editor = np.ones((60, 80), bool), effect_fixture.contouring

    def answer() -> None:
        fields, arrays = codec.prediction_parts(Prediction(mask, 0.5, np.zeros((4, 4), np.float32)), False)
        worker.say("prediction", {"job": worker.jobs("preview")[-1], **fields}, arrays)

    user.press("Red", effect_fixture.at("Red", -1))
    user.move("Red", effect_fixture.at("Red", 0.5))
    host.clock.advance(100)
    worker.greet()
    host.clock.advance(1000)
    answer()
    for milliseconds in (10.0, RENDER_MILLISECONDS):
        host.rendering.milliseconds = milliseconds
        for share in (0.6, 0.7, 0.8, 0.9):
            host.clock.advance(1000)
            views = Views(host)
            user.move("Red", effect_fixture.at("Red", share + milliseconds / 2000))
            host.clock.post(answer, 5)
            host.clock.advance(5)
            assert len(views.rendered("Red")) == 1 and editor.rectangle.shown.box == editor.rectangle.drag.box
            assert effect_fixture.visible("preview")
            host.clock.advance(1000)
            assert set(views.renders.values()) == {1} and not views.rendered("Green")
        assert len(views.rendered("Red")) == 1, "the turn of the mouse's own rendering was used"


def test_whoever_waits_for_the_model_reads_so_and_seconds_are_counted(effect_fixture: Any) -> None:
    worker, now = FakeWorkerProcess(), [100.0]
    effect_fixture.effect.make_transport = lambda: worker
    editor, clock, ui = effect_fixture.contouring, effect_fixture.host.clock, effect_fixture.ui
    effect_fixture.effect._run_display._clock = editor.preview._clock = lambda: now[0]

    def pass_time(seconds: float) -> None:
        now[0] += seconds
        clock.advance(50)

    user = effect_fixture.host.user
    user.press("Red", effect_fixture.at("Red", -1))
    user.move("Red", effect_fixture.at("Red", 0.5))
    pass_time(0.2)
    assert ui.progressFrame.visible and ui.progressLabel.text == "Starting the inference process…"
    assert not ui.cancelButton.enabled
    pass_time(5)
    assert ui.progressLabel.text == "Starting the inference process… 5 s"
    worker.greet()
    pass_time(1)
    assert ui.progressLabel.text == "Loading the model… 6 s"
    mask = np.zeros((60, 80), bool)
    logits = np.zeros((4, 4), np.float32)
    fields, arrays = codec.prediction_parts(Prediction(mask, 0.5, logits))
    worker.say("prediction", {"job": worker.jobs("preview")[0], **fields}, arrays)
    pass_time(0.2)
    assert not ui.progressFrame.visible
    user.move("Red", effect_fixture.at("Red", 0.7))
    pass_time(0.2)
    assert not ui.progressFrame.visible, "a preview usually comes at once"
    pass_time(3)
    assert ui.progressLabel.text == "Computing the preview… 3 s"


def test_what_vtk_draws_during_a_run_is_one_view_in_a_turn_of_the_event_loop(effect_fixture: Any) -> None:
    if not off_screen.available():
        pytest.skip("VTK cannot draw here: no OpenGL, not even in software")
    views = {name: effect_fixture.host.user.view(name).sliceView() for name in VIEWS}
    drawn = {name: off_screen.draw_off_screen(view) for name, view in views.items()}
    effect_fixture.segmentation.GetSegmentation().GetSegment("tumour").SetColor(1, 0, 0)  # not a greyish one
    slow = SlowViews(effect_fixture)
    messages: Counter[int] = Counter()
    find = slow.find
    slow.find = lambda index: (find(index), messages.update([slow.clock.cycle]))[0]

    def most_in_a_turn() -> int:
        return max(Counter(cycle for cycles in drawn.values() for cycle in cycles if cycle > slow.begin).values())

    def coloured(name: str) -> int:
        """Pixels with a colour: the views have no image, and the rectangle is a thin line."""
        pixels = off_screen.pixels(views[name]).astype(int)
        return int((np.ptp(pixels, axis=2) > 30).sum())

    slow.clock.advance(400)
    assert slow.found and most_in_a_turn() == 1
    slow.clock.advance(3000)
    assert most_in_a_turn() == 1 and messages.total() == len(ORDER)
    assert sum(map(len, drawn.values())) < len(ORDER)
    shown = {name: coloured(name) for name in VIEWS}
    assert min(shown.values()) > 10_000, "all views show the result"
    slow.begin = slow.clock.cycle
    slow.host.user.click(effect_fixture.ui.cancelButton)
    slow.clock.advance(1500)
    assert most_in_a_turn() == 1
    assert sum(cycle > slow.begin for cycles in drawn.values() for cycle in cycles) <= 2 * len(VIEWS)
    assert all(coloured(name) < shown[name] / 3 for name in VIEWS), "and no longer after a cancel"
