"""Settings of the propagation: every constant of the algorithms, with its unit and a sensible range.

`docs/development/propagation.md` says how the defaults were chosen; `benchmarks/ablation.py` measures what each of them does.
All settings are immutable. Vary one with `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MedianBoxSettings:
    """When a slice is predicted a second time, and how the two predictions are combined; see `median_box`.

    Attributes:
        tolerance: largest distance between an edge of the box found and the same edge of the median box, as a fraction
            of the median box's width or height. Beyond it the median box is prompted. 0.03 to 0.1.
        first_weight: weight of the first prediction's logits in the combined logits. 0 to 0.5.
    """

    tolerance: float = 0.07
    first_weight: float = 0.3


@dataclass(frozen=True)
class InBoxSettings:
    """Propagation inside a 3D box; see `in_box`.

    Attributes:
        expected_width: size of the expected section, as a multiple of the ellipsoid's section. 0.8 to 1.
        generous_width: size of the box that is prompted first, as a multiple of the ellipsoid's section. 1.05 to 1.4.
        upright_weight: weight of the assumption that the ellipsoid is upright. All slices of the box together weigh
            about 0.3 if they agree on a shear. 0.02 to 0.15.
        largest_shear: largest shear of the ellipsoid, in half widths of the box; below 1, where the sections vanish.
            0.8 to 0.99.
        fewest_in_parts: number of predicted slices from which only the first of them is encoded whole, and of the others
            the part around the box: faster, not always as accurate, and not together with `PixelClassifierSettings.in_box`,
            which has all slices encoded whole. None to encode all slices whole. 3 to 10.
        median_box: when and how slices are predicted a second time.
    """

    expected_width: float = 0.9
    generous_width: float = 1.2
    upright_weight: float = 0.05
    largest_shear: float = 0.95
    fewest_in_parts: int | None = None
    median_box: MedianBoxSettings = MedianBoxSettings()


@dataclass(frozen=True)
class BetweenKeysSettings:
    """Propagation between two key slices; see `between_keys`.

    Attributes:
        bulge: shape of the expected box between the key slices' boxes: 0 interpolates sizes linearly, 1 as the
            sections of an ellipsoid. 0.5 to 1.
        low_predicted_iou: predicted IoU below which the neighbouring mask's box is prompted too. 0.5 to 0.7.
        smallest_gain: predicted IoU by which the prediction for the neighbouring mask's box must be better to replace
            the other one. 0 to 0.1.
        median_box: when and how slices are predicted a second time.
    """

    bulge: float = 0.75
    low_predicted_iou: float = 0.6
    smallest_gain: float = 0.05
    median_box: MedianBoxSettings = MedianBoxSettings()


@dataclass(frozen=True)
class KeyMaskSettings:
    """Slices near key masks; see `key_shapes`.

    Attributes:
        slope: logits per pixel of the decoder at the contour of a key mask. 0.5 to 3.
        doubt_weight: weight of the expected section's logits where the model's mask is not reliable at all; it falls to 0
            where the mask is fully reliable, and never exceeds 1. 0.3 to 2.
        least_agreement: Dice coefficient of the model's mask and the expected section up to which the section does not
            count: the object is bent, and the section lies beside it. 0.1 to 0.5.
        full_agreement: coefficient from which the section counts in full. 0.4 to 0.8.
    """

    slope: float = 1.5
    doubt_weight: float = 1.5
    least_agreement: float = 0.3
    full_agreement: float = 0.6


@dataclass(frozen=True)
class OutwardSettings:
    """Propagation beyond the outermost key slices; see `outward`.

    Attributes:
        close_margin: margin of the close box around the neighbouring mask, as a multiple of the model's own margin
            (`Family.with_margin`). 0.5 to 1.5.
        loose_margin: margin of the loose box, in the same unit. 2 to 3.5.
        sure_predicted_iou: predicted IoU above which the loose box's mask may be accepted without prompting the close
            box. 0.85 to 0.95.
        sure_dice: Dice coefficient with the neighbouring mask above which it may be accepted. 0.85 to 0.95.
        newest_weight: weight of the newest slice in the running mean of the object's appearance. 0.1 to 0.6.
        smallest_spread: smallest unit in which changes of the mean grey level are measured, in grey levels of 0..255:
            the noise of a windowed image. 6 to 24.
        spread_per_contrast: smallest such unit as a fraction of the object's contrast. 0.1 to 0.5.
        largest_change: the object has ended if its mean grey level changes by more, in the unit above. 1 to 3.
        smallest_contrast: the object has ended if less of its contrast is left, as a fraction of the contrast on the
            key slice. 0.1 to 0.4.
        smallest_predicted_iou: the object has ended if the predicted IoU is lower. 0.4 to 0.7.
        smallest_area: the object has ended if its area is smaller, as a fraction of the area on the key slice.
            0.02 to 0.1.
        smallest_dice: the object has ended if the Dice coefficient with the neighbouring mask is lower. 0.15 to 0.5.
        visible_contrast: contrast below which an object counts as invisible against its surroundings, as a fraction of
            the standard deviation of its grey levels. 0.25 to 1.
        clearly_visible: contrast from which an object counts as clearly visible, as a multiple of the one above. Between the
            two the limits of both kinds of object pass into each other, so that no rounding error decides. 1.1 to 1.5.
        half_length: distance from the key slice beyond which an invisible object is not followed, as a fraction of its
            largest diameter on that slice. 0.4 to 0.9.
        ring_step: distance from the object at which its surroundings begin, as a fraction of the slice's longer side.
            The ring of surroundings is twice as wide. 1/256 to 1/64.
        smallest_base_dice: for a model with an adapter whose base follows the object: Dice coefficient of the base's mask on
            the key slice with the adapted decoder's below which the base does not see the object, and the adapted decoder
            follows it; with a key mask that of the base's mask in its box. 0.6 to 0.85.
    """

    close_margin: float = 1.0
    loose_margin: float = 2.5
    sure_predicted_iou: float = 0.9
    sure_dice: float = 0.9
    newest_weight: float = 0.3
    smallest_spread: float = 12.0
    spread_per_contrast: float = 0.25
    largest_change: float = 2.0
    smallest_contrast: float = 0.2
    smallest_predicted_iou: float = 0.55
    smallest_area: float = 0.04
    smallest_dice: float = 0.3
    visible_contrast: float = 0.5
    clearly_visible: float = 1.25
    half_length: float = 0.6
    ring_step: float = 1 / 128
    smallest_base_dice: float = 0.7


@dataclass(frozen=True)
class PixelClassifierSettings:
    """How far the look of the object's pixels on all slices changes the masks; see `pixel_classifier`.

    Attributes:
        in_box: share of the change that is made in a 3D box. 0 (none) to 1.
        between_keys: the same between key slices. 0 to 1.
        outward: the same beyond the outermost key slices. 0 to 1.
        logits_weight: weight of the decoder's logits. 0.5 to 1.
        grey_weight: weight of the log-likelihood ratio of grey levels. 0 to 1.
        embedding_weight: weight of the log-likelihood ratio of the embedding. 0 to 0.6.
        bias: logit that is added everywhere: a pixel that is as likely on either side belongs to the surroundings more often,
            because they are larger. -0.9 to 0.
        sure_logit: magnitude from which the decoder's logits are sure enough to learn from. 0 to 4.
        surroundings: width of the surroundings from which is learned and where masks are changed, as a fraction of the sides of
            the 3D box, or of the mask's box. 0.1 to 0.5.
        shrinkage: weight of the identity in the covariance of the embedding, in mean variances. 0.05 to 2.
        least_likeness: place of the mean grey level of an interpolated mask, as a log-likelihood ratio, between those of the
            surroundings (0) and of the object (1), below which the slice loses confidence: the object may be missing there.
            0.1 to 0.3.
    """

    in_box: float = 0.0
    between_keys: float = 0.0
    outward: float = 0.0
    logits_weight: float = 0.72
    grey_weight: float = 0.5
    embedding_weight: float = 0.3
    bias: float = -0.45
    sure_logit: float = 2.0
    surroundings: float = 0.25
    shrinkage: float = 0.5
    least_likeness: float = 0.2


@dataclass(frozen=True)
class SmoothingSettings:
    """Smoothing of logits along the stack; see `smoothing`.

    Attributes:
        spread_mm: standard deviation of the Gaussian, in millimetres. 2 to 4.
        largest_spread: largest standard deviation, as a fraction of the number of slices that are smoothed, so that
            small objects are not blurred away. 0.05 to 0.2.
        truncate: distance at which the Gaussian is cut off, in standard deviations. 2 to 4.
        largest_logit: logits are clipped to this magnitude. 5 to 20.
        smallest_trust: smallest weight of a slice. 0.001 to 0.1.
    """

    spread_mm: float = 3.0
    largest_spread: float = 0.1
    truncate: float = 3.0
    largest_logit: float = 10.0
    smallest_trust: float = 0.01


@dataclass(frozen=True)
class SkippingSettings:
    """Which slices of a 3D box are interpolated instead of predicted; see `slice_skipping`.

    Attributes:
        largest_gap_mm: every second slice is skipped if predicted slices are then no further apart, in millimetres;
            0 skips none. 0 to 10.
        fewest_predicted: and if at least this many slices are predicted. 6 to 25.
        largest_step: in long boxes only every third slice is predicted with 3, every fourth with 4; 2 makes no difference. 2 to 4.
        long_gap_mm: if slices `largest_step` apart are no further apart, in millimetres. 4 to 30.
        fewest_of_long: and if at least this many slices are predicted. 9 to 25.
    """

    largest_gap_mm: float = 4.0
    fewest_predicted: int = 15
    largest_step: int = 2
    long_gap_mm: float = 20.0
    fewest_of_long: int = 10


@dataclass(frozen=True)
class ConfidenceSettings:
    """Confidence of slices; see `confidence`.

    Attributes:
        stability_offset: logits by which the threshold is raised and lowered to measure the stability of a mask.
            0.5 to 2.
        middle: mean of predicted IoU and stability at which the confidence is 0.5. 0.7 to 0.85.
        middle_smoothed: the same for logits that were smoothed along the stack. 0.7 to 0.85.
        steepness: slope of the logistic curve, per unit of that mean. 15 to 40.
        review_below: confidence below which a slice needs review. 0.6 to 0.85.
    """

    stability_offset: float = 1.0
    middle: float = 0.803
    middle_smoothed: float = 0.745
    steepness: float = 21.0
    review_below: float = 0.75


@dataclass(frozen=True)
class JitterSettings:
    """Sensitivity of a mask to how its box was drawn; see `prompt_jitter`.

    Attributes:
        largest_shift: largest shift of an edge, as a fraction of the box's width or height. 0.02 to 0.1.
        smallest_shift: the largest shift is never less than this many slice pixels. 0.5 to 2.
        disputed_below: agreement below which a slice depends on how its box was drawn. 0.8 to 0.95.
    """

    largest_shift: float = 0.05
    smallest_shift: float = 1.0
    disputed_below: float = 0.9


@dataclass(frozen=True)
class BoxFitSettings:
    """When the user is told that a 3D box said little; see `box_fit`.

    Attributes:
        largest_bend: mean distance of the sections' centres from a line above which the object bends, in mean widths or
            heights of the sections. 0.12 to 0.2.
        smallest_confidence: mean confidence below which the model did not find the object on most slices. 0.4 to 0.6.
        smallest_confidence_in_long: the same in a long box, in which an object can bend unnoticed. 0.5 to 0.8.
        long_box: length of a long box, as a multiple of its shorter side on the slices. 3 to 5.
        fewest_slices: nothing is judged on fewer slices. 4 to 8.
        enough_key_slices: nothing is said if so many slices in the box have a prompt of their own. 3 to 7.
    """

    largest_bend: float = 0.15
    smallest_confidence: float = 0.5
    smallest_confidence_in_long: float = 0.7
    long_box: float = 4.0
    fewest_slices: int = 5
    enough_key_slices: int = 5


@dataclass(frozen=True)
class PropagationSettings:
    """All settings of `propagate`, grouped by algorithm.

    Attributes:
        extent_by_base: for a model with an adapter: in a 3D box and beyond the outermost key slices, where nobody has drawn
            how far the object reaches, its base follows the object from slice to slice, and the adapted decoder predicts
            each mask in the box of the base's; see `SlicePredictor.painted`. For decoders that fill a box that is too large
            more readily than their base. Without influence on other models.
    """

    in_box: InBoxSettings = InBoxSettings()
    between_keys: BetweenKeysSettings = BetweenKeysSettings()
    key_masks: KeyMaskSettings = KeyMaskSettings()
    outward: OutwardSettings = OutwardSettings()
    pixels: PixelClassifierSettings = PixelClassifierSettings()
    smoothing: SmoothingSettings = SmoothingSettings()
    skipping: SkippingSettings = SkippingSettings()
    confidence: ConfidenceSettings = ConfidenceSettings()
    jitter: JitterSettings = JitterSettings()
    box_fit: BoxFitSettings = BoxFitSettings()
    extent_by_base: bool = False
