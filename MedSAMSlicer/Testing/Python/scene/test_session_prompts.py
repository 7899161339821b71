"""Points and masks from a session to the model and back: previews that are refined click by click, and key slices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import InputError, MedSAMError
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving.in_process_client import InProcessClient
from MedSAMSlicerLib.engine.serving.inference_client import InferenceClient
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from support.small_families import WEIGHTS_FOLDER, use_small_families, write_small_weights
from support.threshold_service import FOLDER, ThresholdService

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.editing.session import Session  # noqa: E402
from MedSAMSlicerLib.scene.roi.conversion import roi_to_prompt  # noqa: E402
from MedSAMSlicerLib.scene.volume.geometry import ijk_to_world  # noqa: E402
from MedSAMSlicerLib.scene.worker.transports import SubprocessTransport, worker_command, worker_environment  # noqa: E402
from MedSAMSlicerLib.scene.worker.worker_client import WorkerClient  # noqa: E402

BOX = Box(2, 2, 11, 9)
CLICK = Points(((6.5, 5),), (True,))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    files = {key: write_small_weights(key, tmp_path) for key in ("sam_med2d", "medsam")}
    use_small_families(monkeypatch, files)
    return files


@pytest.fixture
def session(scene_builder: Any, weights: dict[str, Path]) -> Iterator[Callable[[InferenceClient, str], Session]]:
    """Makes sessions on a volume of noise, by model."""
    volume = scene_builder.volume_in("oblique")
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[:] = np.random.default_rng(5).integers(0, 255, voxels.shape)
    made: list[Session] = []

    def make(runner: InferenceClient, model: str) -> Session:
        choice = ModelChoice(model, str(weights[model]), "cpu", "torch")
        segmentation = scene_builder.segmentation(volume, "tumour")
        made.append(Session(volume, segmentation, "tumour", runner, Window(0, 255, "as it is"), choice=choice))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def process() -> Iterator[WorkerClient]:
    """The real engine with small families, in a process of its own."""
    command = worker_command("support.small_families:small_service")
    link = WorkerClient(lambda: SubprocessTransport(command, worker_environment([FOLDER])))
    yield link
    link.close()


def ask(session: Session, prompt: Box | SlicePrompt) -> Prediction | MedSAMError:
    answers: list[Prediction | MedSAMError] = []
    session.preview(4, prompt, answers.append, answers.append)
    begin = time.monotonic()
    while not session.runner.idle:
        assert time.monotonic() - begin < 120, "no answer came"
        session.step(0.05)
    [answer] = answers
    return answer


def test_a_preview_is_refined_click_by_click_and_each_click_can_be_undone(
    session: Callable[..., Session], process: WorkerClient
) -> None:
    """In the inference process as in this one; every correction starts from the logits of the answer before."""
    here, there = session(InProcessClient(SegmentationService()), "sam_med2d"), session(process, "sam_med2d")
    found: dict[str, list[Prediction]] = {"here": [], "there": []}
    for name, one in (("here", here), ("there", there)):
        clicks = CLICK
        prompts = [SlicePrompt(BOX), SlicePrompt(points=clicks), SlicePrompt(BOX, clicks)]
        clicks = clicks.with_point(2, 9.25, False)
        for prompt in [*prompts, "refined", SlicePrompt(BOX, clicks.without_last())]:
            if prompt == "refined":
                prompt = SlicePrompt(BOX, clicks, MaskPrompt(logits=found[name][-1].low_res_logits))
            answer = ask(one, prompt)
            assert isinstance(answer, Prediction), answer
            found[name].append(answer)
        drawn = np.zeros(one.stack.shape[1:], bool)
        drawn[3:8, 4:9] = True
        answer = ask(one, SlicePrompt(mask=MaskPrompt(mask=drawn)))
        assert isinstance(answer, Prediction), answer
        found[name].append(answer)
    for one, other in zip(*found.values(), strict=True):
        assert np.array_equal(one.mask, other.mask)
        assert np.abs(one.low_res_logits - other.low_res_logits).max() < 1e-6
    answers = [prediction.low_res_logits for prediction in found["here"]]
    assert np.array_equal(answers[4], answers[2]), "a click undone leaves no trace"
    assert not np.array_equal(answers[3], answers[2])


def test_clicks_for_a_model_that_knows_boxes_only_are_refused_by_name(
    session: Callable[..., Session], process: WorkerClient
) -> None:
    one = session(process, "medsam")
    refusal = ask(one, SlicePrompt(points=CLICK))
    assert isinstance(refusal, InputError)
    assert str(refusal).startswith("MedSAM (ViT-B) was not trained for points, it takes boxes:")
    assert isinstance(ask(one, BOX), Prediction), "the process goes on"


def test_key_slices_keep_whatever_was_given_on_them(session: Callable[..., Session], process: WorkerClient) -> None:
    one = session(process, "sam_med2d")
    one.set_key(2, BOX)
    one.set_key(5, SlicePrompt(BOX, CLICK))
    one.set_key(3, SlicePrompt(points=CLICK))
    assert (dict(one.keys), sorted(one.slice_prompts)) == ({2: BOX}, [3, 5])
    assert list(one.prompt.slices) == [2, 3, 5] and one.prompt.slices[5] == SlicePrompt(BOX, CLICK)
    one.set_key(5, SlicePrompt(box=BOX))
    one.remove_key(3)
    assert {index: given.box for index, given in one.prompt.slices.items()} == {2: BOX, 5: BOX}
    with pytest.raises(InputError, match="lies outside the slice"):
        one.set_key(5, SlicePrompt(points=Points(((3, 400),), (True,))))
    with pytest.raises(InputError, match="lies outside the volume"):
        one.preview(400, SlicePrompt(points=CLICK), lambda _: None)
    one.set_prompt(StackPrompt({4: BOX, 6: SlicePrompt(points=CLICK)}, (1, 6)))
    assert (dict(one.keys), list(one.slice_prompts), one.reach) == ({4: BOX}, [6], (1, 6))


def test_an_roi_that_a_script_hands_over_is_not_left_whichever_way_it_is_turned(scene_builder: Any, turn: Any) -> None:
    volume = scene_builder.volume(np.full((9, 24, 26), 200, np.uint8), (1.0, 1.0, 2.0))
    center = (ijk_to_world(volume) @ [12, 11, 4, 1])[:3]
    roi = scene_builder.roi(center, (14, 9, 9), turn(20, -15, 35))
    session = Session(
        volume,
        scene_builder.segmentation(volume, "tumour"),
        "tumour",
        InProcessClient(ThresholdService()),
        Window(0, 255, "as it is"),
    )
    session.set_prompt(roi_to_prompt(roi, session.stack))
    seen: list[SliceResult] = []
    session.start(on_slice=seen.append)
    found = session.wait().to_stack()
    to_world = ijk_to_world(volume)
    within = np.array(
        [roi.IsPointInROIWorld((to_world @ [*at[::-1], 1])[:3].tolist()) for at in np.ndindex(*found.shape)]
    ).reshape(found.shape)
    assert (found == within).all() and within.any()
    assert all((one.mask == within[one.index]).all() for one in seen) and len(seen) == len(session.result or ())
    session.set_prompt(StackPrompt(session.keys, session.reach, session.bounds))
    session.start()
    assert session.wait().to_stack().sum() > within.sum(), "a prompt without an ROI has its box alone"
    session.close()
