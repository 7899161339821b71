"""The slice that the user looks at is answered first, and the user reads how long that took."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer.util

from MedSAMSlicerLib.engine.serving import codec
from support.fake_worker_process import FakeWorkerProcess


class Requests:
    """An effect whose inference process only says what the test has it say."""

    def __init__(self, effect_fixture: Any) -> None:
        self.fixture, self.host, self.worker = effect_fixture, effect_fixture.host, FakeWorkerProcess()
        effect_fixture.effect.make_transport = lambda: self.worker
        effect_fixture.effect.scriptedEffect.setParameter("EncodeAhead", "0")

    def in_view(self) -> int | None:
        """Slice of the volume that the run which has been started is told the user looks at; the run is ended."""
        self.host.clock.advance(100)
        if not self.worker.jobs("segment")[1:]:
            self.worker.greet()
            self.host.clock.advance(100)
        request = [message for message in self.worker.received if message.kind == "segment"][-1]
        prompt, job = codec.read_stack_prompt(request), request.integer("job")
        self.find(job, sorted(prompt.slices), request.integers("shape", 3)[1:])
        # A run over a part of the stack counts its slices from the first one: so far away from the key slice.
        key = min(self.fixture.contouring.state.prompts.keys)
        return None if prompt.in_view is None else prompt.in_view - min(prompt.slices) + key

    def find(self, job: int, slices: list[int], shape: tuple[int, ...]) -> None:
        """The run ends with a result on the key slices."""
        for preview in self.worker.jobs("preview"):
            if preview in self.fixture.effect._controller.client._requests:
                self.worker.say("superseded", {"job": preview})
        for index in slices:
            self.worker.find(index, np.ones(shape, bool), job)
        self.worker.say_together([self.worker.end(job)])
        self.host.clock.advance(100)
        assert self.fixture.contouring.problem is None and not self.fixture.contouring.running

    def show(self, view: str, k: int) -> None:
        node = self.host.user.view(view).mrmlSliceNode()
        ras = slicer.util.arrayFromVTKMatrix(self.fixture._ijk_to_ras()) @ [40, 30, k, 1]
        node.JumpSliceByOffsetting(*map(float, ras[:3]))


@pytest.fixture
def requests(effect_fixture: Any) -> Requests:
    return Requests(effect_fixture)


def test_whatever_begins_a_run_it_is_told_which_slice_the_user_looks_at(requests: Requests, scene_builder: Any) -> None:
    fixture, user = requests.fixture, requests.host.user
    fixture.drag(wait=False)
    assert requests.in_view() == 10, "the slice that was drawn on"
    requests.show("Red", 13)
    user.click(fixture.ui.runButton)
    assert requests.in_view() == 13, "scrolled"
    requests.show("Red", 15)
    fixture.drag(shift=True, wait=False)
    assert requests.in_view() == 15, "a second key slice"
    requests.show("Red", 12)
    fixture.drag(shift=True, wait=False)
    assert requests.in_view() == 12, "a third one between them, a run over a part of the stack"
    requests.show("Red", 11)
    fixture.contouring.remove_key(12)
    assert requests.in_view() == 11, "a key slice is removed"
    user.enter("Yellow")
    user.click(fixture.ui.runButton)
    assert requests.in_view() == 11, "the mouse is in a view of other slices"
    requests.show("Red", 9)
    roi = scene_builder.roi((40, 30, 20), (30, 30, 16))
    fixture.contouring.take_roi(roi)
    assert requests.in_view() == 9, "a 3D box"
    user.enter("Green")
    fixture.drag("Green", wait=False)
    assert requests.in_view() == 30, "coronal slices"


def test_a_view_that_is_scrolled_before_the_mouse_was_in_one_is_the_one_in_view(requests: Requests) -> None:
    """Each view has a slider beside its image."""
    requests.show("Red", 13)
    state = requests.fixture.contouring.state
    assert state.index_in_view(state.plane_in(state.view)) == 13


def test_the_result_says_when_the_first_slice_came(make_effect_fixture: Callable[[str], Any]) -> None:
    fixture = make_effect_fixture("SlowService")
    now = [50.0]
    fixture.contouring.runs._clock = lambda: now[0]
    fixture.drag(wait=False)
    now[0] += 0.84
    fixture.host.wait_until(lambda: fixture.contouring.found is not None)
    now[0] += 12
    fixture.finish()
    text = fixture.ui.resultLabel.text
    assert re.fullmatch(r"Preview: \d+ slices, none needs review\. First slice after 0\.8 s, all after 13 s\.", text), (
        text
    )
    fixture.effect.apply()
    assert "after" not in fixture.ui.resultLabel.text, "how long it took is of no interest any more"
