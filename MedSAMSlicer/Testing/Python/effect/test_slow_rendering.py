"""Rendering a view takes a fifth of a second, as it does without a graphics card: the application stays responsive."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.results import Prediction
from MedSAMSlicerLib.engine.serving import codec
from support.fake_worker_process import FakeWorkerProcess

RENDER_MILLISECONDS = 200.0
VIEWS = ("Red", "Yellow", "Green")
ORDER = (10, *range(11, 20), *range(9, -1, -1))


class SlowViews:
    """An effect with a run under way, whose results come every 20 ms, three times as fast as a decoder makes them."""

    def __init__(self, effect_fixture: Any) -> None:
        self.fixture, self.host, self.worker = effect_fixture, effect_fixture.host, FakeWorkerProcess()
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
        self.begin = self.clock.cycle

    def find(self, index: int) -> None:
        mask = np.zeros((60, 80), bool)
        mask[20:40, 30:50] = True
        self.worker.find(index, mask, job=self.job)
        self.found.append(index)

    def rendered(self, view: str) -> list[int]:
        """Turns of the event loop since the first result in which the view was rendered."""
        cycles = self.host.user.view(view).sliceView().rendered
        return [cycle for cycle in cycles if cycle > self.begin]


@pytest.fixture
def slow(effect_fixture: Any) -> SlowViews:
    return SlowViews(effect_fixture)


def test_one_view_is_rendered_in_a_turn_of_the_event_loop_and_all_messages_are_read_before(slow: SlowViews) -> None:
    started = slow.clock.now
    slow.clock.advance(20.0 * len(ORDER))
    editor = slow.fixture.contouring
    assert slow.found == list(ORDER) and editor.progress.done == len(ORDER)
    renders = Counter(cycle for view in VIEWS for cycle in slow.rendered(view))
    assert renders and max(renders.values()) == 1
    # Without pacing, each of the results would have all three views rendered.
    assert sum(renders.values()) <= (slow.clock.now - started) / RENDER_MILLISECONDS + 1 < len(ORDER)
    slow.clock.advance(3000)
    slow.worker.say("finished", {"job": slow.job, **codec.info_fields(RunInfo())})
    slow.clock.advance(3000)
    renders = Counter(cycle for view in VIEWS for cycle in slow.rendered(view))
    assert max(renders.values()) == 1, "the end of a run has all views rendered, one by one"
    assert slow.fixture.visible("result", "Green") and editor.result is not None


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
    cancelled = slow.clock.cycle
    slow.clock.advance(5000)
    assert len(slow.found) == len(ORDER), "the process goes on until it reads the cancel"
    assert slow.fixture.contouring.result is None and not slow.fixture.visible("result")
    renders = Counter(cycle for view in VIEWS for cycle in slow.rendered(view) if cycle > cancelled)
    assert max(renders.values()) == 1 and sum(renders.values()) <= 6, "each view once, and those that were under way"
    assert slow.fixture.ui.problemLabel.text == ""


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
