"""Training learns, can be ended at any time, and then gives the same numbers as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedSAMSlicerLib.engine.models.litemedsam import LiteMedSAM
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.learning.distillation import SureAnswers
from MedSAMSlicerLib.learning.prompts import PossibleBox
from MedSAMSlicerLib.learning.samples import Sample
from MedSAMSlicerLib.learning.settings import LearningSettings, PromptSettings, TrainingSettings
from MedSAMSlicerLib.learning.training import Learned, Lessons, Training
from support.seeded_weights import fill_with_seeded_weights

pytestmark = pytest.mark.slow

SIDE, TOKENS = 32, 8
FAMILY = LiteMedSAM(SIDE)
SETTINGS = LearningSettings(
    prompts=PromptSettings(boxes=2),
    training=TrainingSettings(steps=4, samples_per_step=1, check_every=2, warm_up=2, patience=99),
)


class Ended(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    network = FAMILY.build_network()
    fill_with_seeded_weights(network)
    return {name: value.numpy() for name, value in network.state_dict().items()}


def sample(key: str) -> Sample:
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[10:20, 12:25] = 255
    own = PossibleBox("tight", Box(12, 10, 24, 19), 1.0)
    return Sample(key, truth, SIDE, SIDE, [own, replace(own, kind="generous", margin_factor=0.0)])


EMBEDDINGS = {str(n): np.random.default_rng(n).normal(size=(256, TOKENS, TOKENS)).astype(np.float32) for n in range(4)}
ANSWERS = SureAnswers(np.array([[2, 2, 8, 9]], np.float32), np.full((1, SIDE, SIDE), -40, np.int8), np.array([0.8]))
LESSONS = Lessons([sample(str(n)) for n in range(3)], [sample("3")], EMBEDDINGS.__getitem__, lambda _sample: ANSWERS)

Train = Callable[..., Learned]


@pytest.fixture
def train(arrays: dict[str, np.ndarray]) -> Train:
    def run(path: Path, end_after: int | None = None, settings: LearningSettings = SETTINGS, **lessons) -> Learned:
        steps = []

        def progress(done: float) -> None:
            steps.append(done)
            if len(steps) == end_after:
                raise Ended

        often = 0.0 if end_after else 1e9
        training = Training(arrays, replace(LESSONS, **lessons), FAMILY, settings, path, checkpoint_seconds=often)
        return training.run(progress)

    return run


def same(one: Learned, other: Learned) -> bool:
    return one.course == other.course and all(
        np.array_equal(one.changes[name], other.changes[name]) for name in one.changes
    )


def test_a_training_that_was_ended_gives_bit_for_bit_what_it_would_have_given(train: Train, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    path = tmp_path / "ended"
    for end_after in (2, 2):
        with pytest.raises(Ended):
            train(path, end_after)
    read = []
    resumed = train(path, embedding=lambda key: (read.append(key), EMBEDDINGS[key])[1])
    assert same(resumed, whole)
    # The last checkpoints were after the first and the second step: two are left, which read an embedding each.
    assert len([key for key in read if key != "3"]) == 2


def test_what_is_learned_makes_the_loss_smaller_and_depends_on_the_seed(train: Train, tmp_path: Path) -> None:
    settings = replace(SETTINGS, training=replace(SETTINGS.training, steps=9, check_every=3))
    found = train(tmp_path / "a", settings=settings)
    assert found.course.loss[-1][1] < found.course.loss[0][1]
    assert [step for step, _dice in found.course.watched] == [0, 3, 6, 9]
    assert not same(found, train(tmp_path / "b", settings=replace(settings, seed=1)))


def test_a_checkpoint_of_something_else_is_not_used(train: Train, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    whole = train(path)
    other = {"taught": LESSONS.taught[:2]}
    assert same(train(path, **other), train(tmp_path / "anew", **other))
    path.write_bytes(path.read_bytes()[:-50])
    assert same(train(path), whole)


def test_training_ends_when_watched_patients_become_worse(train: Train, tmp_path: Path) -> None:
    """No state can be better than the first one, if every look, the first too, has to show a gain that is impossible."""
    training = replace(SETTINGS.training, steps=40, check_every=1, tolerance=-2.0, patience=3)
    found = train(tmp_path / "a", settings=replace(SETTINGS, training=training))
    assert found.course.step == 2 and found.course.best_step == 0
    # Factors that are not multiplied by zeros begin at random: what counts is that they change nothing.
    assert all(not found.changes[name].any() for name in found.changes if not name.startswith("down"))


def test_without_watched_patients_all_steps_are_taken(train: Train, tmp_path: Path) -> None:
    found = train(tmp_path / "a", watched=[])
    assert found.course.step == SETTINGS.training.steps and found.course.watched == []
    assert any(found.changes[name].any() for name in found.changes if name.startswith("up"))
