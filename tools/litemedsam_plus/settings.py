"""Settings of the training of LiteMedSAM+: every constant, with its unit.

Pixels are those of the network's input, 256 x 256 for LiteMedSAM. Margins of boxes, widths of expected sections and the
shear of objects are those of the propagation, `PropagationSettings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from MedSAMSlicerLib.learning.settings import OptimisationSettings, SampleSettings

PROPAGATION: dict[str, Any] = {
    "extent_by_base": True,
    "key_masks": {"doubt_weight": 0.5},
    "pixels": {"in_box": 1.0, "between_keys": 0.5, "outward": 1.0},
    "skipping": {"largest_gap_mm": 10.0, "fewest_predicted": 8, "largest_step": 4},
}
"""Settings of the propagation that suit the decoder, see `AdapterMetadata.propagation`: docs/development/propagation.md says how
they were chosen."""


@dataclass(frozen=True)
class SequenceSettings:
    """Sequences of neighbouring slices that are drawn; see `sequences`.

    Attributes:
        length: slices of a sequence, at most.
        kinds: how often the object is followed from a contour on, in a 3D box, and between two contours.
        strides: how often every slice, every second and every third is taken.
        from_middle: share of sequences in a 3D box that begin on the object's middle slice.
        known_neighbour: share of sequences that begin beside a slice whose mask is known. Between contours it always is.
        beyond: slices beyond the object's end that are shown, at most, when it is followed from a contour on.
        known_shear: share of sequences in a 3D box that know how the object lies, from the slices nearer the middle.
        observed_trust: trust in these slices, see `EllipsoidPrior.observe`.
        others_share: share of sequences from the second table.
        slices_counted: an object is drawn as often as the square root of its number of slices says, up to this number.
        smallest_area: an object whose largest section is smaller is not drawn, in pixels.
    """

    length: int = 3
    kinds: tuple[float, float, float] = (0.4, 0.4, 0.2)
    strides: tuple[float, float, float] = (0.6, 0.3, 0.1)
    from_middle: float = 0.35
    known_neighbour: float = 0.55
    beyond: int = 2
    known_shear: float = 0.7
    observed_trust: float = 0.8
    others_share: float = 0.5
    slices_counted: int = 30
    smallest_area: int = 20


@dataclass(frozen=True)
class BoxSettings:
    """Boxes that are prompted; see `prompts`.

    Shares are cumulative: one random number from 0 to 1 is drawn for each sequence, and the box is the first kind in the
    order below whose share is above it.

    Attributes:
        own_jitters: largest shift of the edges of the object's own box, as a fraction of its width or height; each as
            likely.
        median_jitter: the same of the own box in the median of three boxes, as a multiple of the shift above.
        near_close, near_loose: shares of boxes around the neighbour's mask, with the model's margin and a wide one. The
            others are the object's own.
        box3d, in_box_near, expected, generous, median: shares in a 3D box: the 3D box, the neighbour's, the expected
            section, a generous one, and the median of the neighbour's, the own and the expected box. The others are the
            object's own.
        stretch: the neighbour's mask is stretched by up to exp(stretch) along x and y before the first slice.
        shift: and shifted by up to this fraction of its width and height.
        blurred: share of these masks that are blurred,
        blur: over so many pixels.
        smallest_area: a predicted mask that is not larger is not taken as the neighbour's, in pixels.
    """

    own_jitters: tuple[float, float] = (0.04, 0.12)
    median_jitter: float = 1.5
    near_close: float = 0.2
    near_loose: float = 0.75
    box3d: float = 0.03
    in_box_near: float = 0.12
    expected: float = 0.25
    generous: float = 0.45
    median: float = 0.75
    stretch: float = 0.2
    shift: float = 0.08
    blurred: float = 0.5
    blur: int = 5
    smallest_area: int = 12


@dataclass(frozen=True)
class RememberedSettings:
    """Pairs of masks that must not be forgotten; see `remembered`.

    Attributes:
        pairs: pairs kept of each variant of an image, at most.
        tried: random boxes tried for each.
        smallest_side, largest_side: of a random box, in pixels.
        stretch: standard deviation of the logarithm of each side.
        farthest: distance of the two slices, at most.
        predicted_iou: the decoder is sure above it,
        stability: and if its mask is more stable than this; see `SliceMask.stability`.
        smallest_area: and the mask is larger, in pixels.
        overlap: and no larger part of it lies in an object that is taught.
        agreement: and the masks of the two slices have a larger Dice coefficient.
        per_step: pairs in a step.
        weight: weight of a pair, as a multiple of a sequence's.
        dice_weight: weight of the Dice coefficient in it.
        as_tried: share of first masks that are asked for with the random box.
        own_box: share of second masks that are asked for with their own box; the others with a wide one around the first.
        jitter: largest shift of the edges of boxes around masks, as a fraction of width and height.
    """

    pairs: int = 16
    tried: int = 64
    smallest_side: float = 10.0
    largest_side: float = 140.0
    stretch: float = 0.3
    farthest: int = 2
    predicted_iou: float = 0.72
    stability: float = 0.75
    smallest_area: int = 40
    overlap: float = 0.3
    agreement: float = 0.7
    per_step: int = 32
    weight: float = 2.2
    dice_weight: float = 0.5
    as_tried: float = 0.3
    own_box: float = 0.4
    jitter: float = 0.06


@dataclass(frozen=True)
class ImageSettings:
    """Slices that are taken of an image, and how they are changed at random; see `volumes` and `augmentation`.

    Attributes:
        most_slices: slices between the first and the last object, at most.
        around: slices before and after these.
        changes: changes that `medsam-slicer adapt` makes too: grey levels, noise, field of view.
        aspect: logarithm of the factor that widens and flattens slices, at most.
        turned: standard deviation of the angle that they are turned by, in degrees.
        nearest: share of variants whose pixels are copied, not interpolated.
    """

    most_slices: int = 100
    around: int = 5
    changes: SampleSettings = SampleSettings()
    aspect: float = 0.15
    turned: float = 6.0
    nearest: float = 0.3


@dataclass(frozen=True)
class Settings(OptimisationSettings):
    """All settings.

    Attributes:
        seed: of everything that is random.
        variants: times that each image is taken: as it is, then changed at random.
        stop_after: step after which training ends; its running mean is what is written.
        batch: sequences in a step.
        ended_weight: weight of BCE where the object has ended, as a fraction of that where it is.
    """

    steps: int = 839
    full_rate: float = 2.1e-4
    kept: float = 0.85
    seed: int = 0
    variants: int = 4
    stop_after: int = 293
    batch: int = 108
    ended_weight: float = 0.3
    images: ImageSettings = ImageSettings()
    sequences: SequenceSettings = SequenceSettings()
    boxes: BoxSettings = BoxSettings()
    remembered: RememberedSettings = RememberedSettings()
