"""Sequences of neighbouring slices that a step of training goes through, as the propagation does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from litemedsam_plus.settings import SequenceSettings
from litemedsam_plus.taught import Track
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.ellipsoid_prior import EllipsoidPrior
from MedSAMSlicerLib.engine.propagation.settings import InBoxSettings

FROM_CONTOUR, IN_BOX, BETWEEN_CONTOURS = range(3)
"""Kinds of sequences, in the order of `SequenceSettings.kinds`."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """Some slices of an object, in the order in which they are predicted.

    Attributes:
        track: the object.
        kind: one of the kinds above.
        slices: indices of slices; at least one.
        neighbour: index of the slice before the first one, whose mask is known; None if none is.
        expected, generous: section of an ellipsoid in the 3D box on each of the slices, as expected and enlarged; see
            `EllipsoidPrior`.
    """

    track: Track
    kind: int
    slices: list[int]
    neighbour: int | None
    expected: list[Box]
    generous: list[Box]


def drawn_sequence(
    track: Track, settings: SequenceSettings, in_box: InBoxSettings, random: np.random.Generator
) -> Sequence:
    """Draw a sequence of an object."""
    kind = int(random.choice(3, p=settings.kinds))
    held = track.held
    stride = int(random.choice((-1, 1)) * random.choice((1, 2, 3), p=settings.strides))
    start = int(random.choice(held))
    if kind == IN_BOX and random.random() < settings.from_middle:
        start = int(held[len(held) // 2])
    beyond = held[(held - start) * np.sign(stride) > 1]
    if kind == BETWEEN_CONTOURS and not len(beyond):
        kind = FROM_CONTOUR
    before = start - stride
    known = kind == BETWEEN_CONTOURS or random.random() < settings.known_neighbour
    known = known and 0 <= before < track.slices and track.areas[before] > 0
    slices = _followed(track, kind, start, stride, settings)
    if kind == BETWEEN_CONTOURS:
        end = int(random.choice(beyond))
        slices = [index for index in slices if (end - index) * stride > 0]
    prior = EllipsoidPrior(track.box3d, int(held[0]), int(held[-1]), in_box)
    if kind == IN_BOX and len(held) > 2 and random.random() < settings.known_shear:
        _observe_from_middle(prior, track, start, settings.observed_trust)
    # Beyond the object's end there is no section of it; such slices are asked for with other boxes.
    inside = [min(max(index, int(held[0])), int(held[-1])) for index in slices]
    return Sequence(
        track,
        kind,
        slices,
        before if known else None,
        [prior.section(index, in_box.expected_width) for index in inside],
        [prior.section(index, in_box.generous_width) for index in inside],
    )


def _followed(track: Track, kind: int, start: int, stride: int, settings: SequenceSettings) -> list[int]:
    """Slices from `start` on, as far as the kind of sequence goes and the image reaches."""
    first, last = track.held[[0, -1]].tolist()
    found: list[int] = []
    for index in range(start, start + settings.length * stride, stride):
        if not 0 <= index < track.slices:
            break
        after_end = max(first - index, index - last)
        if track.areas[index] == 0 and (kind != FROM_CONTOUR or after_end > settings.beyond):
            break
        found.append(index)
    return found


def _observe_from_middle(prior: EllipsoidPrior, track: Track, start: int, trust: float) -> None:
    """Tell the prior the object's boxes from its middle up to `start`, which it would have predicted before."""
    middle = int(track.held[0] + track.held[-1]) // 2
    for index in range(min(middle, start), max(middle, start) + 1):
        if index != start and track.areas[index] > 0:
            prior.observe(index, Box(*track.boxes[index].tolist()), trust)


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences as tensors on the device, n sequences of up to `length` slices.

    Attributes:
        slices, masks: int64 (n, length), numbers among all embeddings and all masks. A short sequence repeats its last
            slice,
        valid: bool (n, length), which does not count.
        in_box: bool (n,), whether the object is followed in a 3D box.
        neighbour: int64 (n,), number of the mask before the first slice; 0 if none is known.
        has_neighbour: bool (n,), whether one is.
        expected, generous: float32 (n, length, 4), boxes in pixels of the network's input.
        box3d: float32 (n, 4), the same.
    """

    slices: Tensor
    masks: Tensor
    valid: Tensor
    in_box: Tensor
    neighbour: Tensor
    has_neighbour: Tensor
    expected: Tensor
    generous: Tensor
    box3d: Tensor


def batch_of(sequences: list[Sequence], length: int, device: str) -> Batch:
    """Put sequences together."""
    places = [[min(at, len(one.slices) - 1) for at in range(length)] for one in sequences]

    def numbers(begins: list[int]) -> Tensor:
        rows = zip(sequences, places, begins, strict=True)
        return torch.tensor([[begin + one.slices[at] for at in row] for one, row, begin in rows], device=device)

    def boxes(kinds: list[list[Box]]) -> Tensor:
        rows = zip(kinds, places, strict=True)
        return torch.tensor([[kind[at].xyxy for at in row] for kind, row in rows], device=device)

    return Batch(
        slices=numbers([one.track.first_slice for one in sequences]),
        masks=numbers([one.track.first_mask for one in sequences]),
        valid=torch.tensor([[at < len(one.slices) for at in range(length)] for one in sequences], device=device),
        in_box=torch.tensor([one.kind == IN_BOX for one in sequences], device=device),
        neighbour=torch.tensor(
            [0 if one.neighbour is None else one.track.first_mask + one.neighbour for one in sequences], device=device
        ),
        has_neighbour=torch.tensor([one.neighbour is not None for one in sequences], device=device),
        expected=boxes([one.expected for one in sequences]),
        generous=boxes([one.generous for one in sequences]),
        box3d=torch.tensor([one.track.box3d.xyxy for one in sequences], device=device),
    )
