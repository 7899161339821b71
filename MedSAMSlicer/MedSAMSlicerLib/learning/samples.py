"""Samples: slices of cases with their embeddings, truths and the boxes that may be prompted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..engine.inference.predictor import Predictor
from ..engine.masks import occupied_slices
from ..engine.propagation.settings import PropagationSettings
from ..engine.resize import area_resize, longest_side_size
from ..evaluation.cases import Case
from ..evaluation.evaluate_case import open_case
from .augmentation import TaughtSlice, changed_at_random
from .prompts import ObjectInStack, PossibleBox, possible_boxes
from .settings import SampleSettings
from .stored_embeddings import StoredEmbeddings

# Share of a network pixel, 0..255, from which it counts as part of the object.
HALF = 128


@dataclass(frozen=True, eq=False)
class Sample:
    """A slice to learn from, as the network sees it.

    Attributes:
        key: key of its embedding.
        truth: uint8 (height, width), share of the object in each pixel of the network's input that shows the slice.
        rows, columns: size of the slice.
        boxes: boxes that may be prompted, in slice pixels; the first is the object's own.
    """

    key: str
    truth: np.ndarray
    rows: int
    columns: int
    boxes: list[PossibleBox]


def samples_of(
    case: Case,
    predictor: Predictor,
    embeddings: StoredEmbeddings,
    settings: SampleSettings,
    propagation: PropagationSettings,
    seed: int,
    variants: int | None = None,
) -> Iterator[Sample | None]:
    """Encode slices of a case.

    Args:
        case: case.
        predictor: predictor with the model's preprocessing.
        embeddings: where embeddings are stored.
        settings: which slices.
        propagation: settings of the boxes that are prompted.
        seed: of all that is random. The same case has the same samples, whatever else is learned.
        variants: instead of `SampleSettings.variants`.

    Yields:
        A sample for each encoded slice; None for one whose object is smaller than a pixel of the network.

    Raises:
        InputError: image or label cannot be used. The message names the case.
        OSError: an embedding cannot be stored.
    """
    opened = open_case(case)
    random = np.random.default_rng([seed, zlib.crc32(case.id.encode())])
    held = occupied_slices(opened.truth)
    shown = ObjectInStack.of(opened.truth, held.tolist())
    for index in _indices(held, settings.slices, random):
        plain = TaughtSlice(
            opened.source.slice_uint8(index),
            shown.truth[index],
            possible_boxes(shown, index, propagation, settings, random),
        )
        for variant in range(settings.variants if variants is None else variants):
            # Colour pictures are learned as they are: their channels do not change together.
            changes = variant > 0 and plain.image.ndim == 2
            taught = changed_at_random(plain, shown.box3d, case.modality, settings, random) if changes else plain
            yield _sample(taught, predictor, embeddings)


def _indices(held: np.ndarray, count: int, random: np.random.Generator) -> list[int]:
    """Evenly spaced slices, each but the outermost shifted by up to one."""
    places = np.unique(np.round(np.linspace(0, len(held) - 1, count)).astype(int)).tolist()
    shifts = random.integers(-1, 2, len(places)).tolist()
    inner = range(1, len(held) - 1)
    shifted = [place + shift if place in inner else place for place, shift in zip(places, shifts, strict=True)]
    return sorted({int(held[place]) for place in shifted})


def _sample(taught: TaughtSlice, predictor: Predictor, embeddings: StoredEmbeddings) -> Sample | None:
    family = predictor.family
    rows, columns = taught.size
    height, width = longest_side_size(rows, columns, family.input_size)
    truth = area_resize(taught.truth.astype(np.uint8) * 255, height, width)
    if truth.max() < HALF:
        return None
    prepared = family.prepare(taught.image)
    embeddings.encode(prepared)
    return Sample(embeddings.key(prepared), truth, rows, columns, taught.boxes)
