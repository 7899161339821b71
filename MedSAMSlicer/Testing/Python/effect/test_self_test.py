"""The whole story in the host: the one that runs in a real Slicer, there on a chest of air, here on the lung CT too."""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer.util
import vtk

from host.application import Host
from support.slicer_session import Session

OWN_MODULES = ("MedSAMSlicerEffectTest", "support.effect_session")
"""Import what the host has replaced."""


@pytest.fixture
def story(host: Host, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The self test's class, taught to step the host's clock."""
    folder = repository / "MedSAMSlicer" / "Testing" / "Python"
    monkeypatch.syspath_prepend(str(folder))
    host.load_module(repository / "MedSAMSlicer" / "MedSAMSlicer.py")
    host.complete_startup()
    for name in OWN_MODULES:
        sys.modules.pop(name, None)
    module = importlib.import_module("MedSAMSlicerEffectTest")

    class HostSession(Session):
        @staticmethod
        def _cycle() -> None:
            time.sleep(0.002)
            host.clock.advance(2)

    class InHost(module.MedSAMSlicerEffectTest):  # type: ignore[misc, name-defined]
        def make_session(self, middle: np.ndarray) -> Any:
            return HostSession(middle, self.radius)

        def make_editor(self) -> Any:
            return host.open_editor()

        def drop_editor(self, editor: Any) -> None:
            """The fixture does it, as it made it."""

        def take_loaded_editor_node(self) -> None:
            """The host's editor takes it by itself, as Slicer's module does."""

    yield InHost
    for name in OWN_MODULES:
        sys.modules.pop(name, None)


def test_the_self_test_passes_in_the_host(story: Any) -> None:
    story().runTest()


def test_the_self_test_draws_in_small_slow_views_that_change_all_the_time(story: Any, host: Host) -> None:
    def render_slowly() -> None:
        time.sleep(0.005)
        host.clock.advance(200)

    sizes = itertools.cycle([(90, 130), (60, 50), (170, 48)])

    class Unsteady(story):
        def make_session(self, middle: np.ndarray) -> Any:
            session = super().make_session(middle)
            send = session._send

            def send_and_resize(name: str, *event: Any, **more: Any) -> None:
                send(name, *event, **more)
                session.view(name).sliceLogic().ResizeSliceNode(*next(sizes))

            session._send, session._cycle = send_and_resize, render_slowly
            return session

        def story(self) -> None:
            self.session.view("Red").sliceLogic().ResizeSliceNode(*next(sizes))
            self.drag_and_preview()
            self.cancel()
            self.run_again_and_see()
            self.draw_anew_during_a_run()

    Unsteady().runTest()


def test_without_a_main_window_the_self_test_is_skipped(story: Any, host: Host) -> None:
    host.hide_main_window()
    result = story("test_story").run()
    assert [reason for _one, reason in result.skipped] == [
        "needs Slicer's main window: start it without --no-main-window"
    ]


def test_a_self_test_that_cannot_begin_says_why_and_leaves_nothing(story: Any) -> None:
    class WithoutEffect(story):
        def start_effect(self) -> Any:
            super().start_effect()
            raise LookupError("no effect here")

    one = WithoutEffect("test_story")
    with pytest.raises(LookupError, match="no effect here"):
        one.runTest()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    result = one.run()
    assert [text.count("no effect here") > 0 for _one, text in result.errors] == [True]
    assert one.editor is None


def test_unittest_tears_the_self_test_down(story: Any) -> None:
    cleaned: list[Any] = []

    class Short(story):
        def start_effect(self) -> Any:
            effect = super().start_effect()
            clean = effect.cleanup
            effect.cleanup = lambda: cleaned.append(clean())
            return effect

        def story(self) -> None:
            assert self.editor.activeEffect() is not None

    one = Short("test_story")
    assert one.run().wasSuccessful()
    assert len(cleaned) == 1
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_story_on_the_lung_ct(story: Any, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "pyradiomics"
    image, label = folder / "lung2_image.nrrd", folder / "lung2_label.nrrd"
    if not image.is_file():
        pytest.skip(f"needs {image}, which is not part of the repository")

    class OnTheLung(story):
        radius = 24.0

        def make_volume(self) -> tuple[Any, np.ndarray]:
            volume = slicer.util.loadVolume(str(image))
            truth = slicer.util.loadLabelVolume(str(label))
            k, j, i = np.nonzero(slicer.util.arrayFromVolume(truth))
            at = k == round(k.mean())
            ijk_to_ras = vtk.vtkMatrix4x4()
            truth.GetIJKToRASMatrix(ijk_to_ras)
            middle = ijk_to_ras.MultiplyPoint((i[at].mean(), j[at].mean(), round(k.mean()), 1))
            slicer.mrmlScene.RemoveNode(truth)
            return volume, np.array(middle[:3])

        def start_effect(self) -> Any:
            effect = super().start_effect()
            effect.scriptedEffect.setParameter("EncodeAhead", "0")
            return effect

        def story(self) -> None:
            for step in (
                self.drag_and_preview,
                self.cancel,
                self.run_again_and_see,
                self.apply_undo_redo,
                self.respect_the_neighbour,
                self.add_a_key_slice,
                self.visit_slices_to_review,
                self.contour_inside_a_roi,
                self.contour_an_oblique_view,
                self.save_and_load,
            ):
                step()

    OnTheLung().runTest()
