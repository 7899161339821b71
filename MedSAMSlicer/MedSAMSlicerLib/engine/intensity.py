"""Intensity windows: from scanner values to the grey levels 0..255 that models were trained on.

The algorithm is that of ``pre_CT_MR.py`` of MedSAM's authors (bowang-lab/MedSAM): CT is clipped to a window, other grey
images to the 0.5 and 99.5 percentiles of their foreground. The minimum and maximum of the clipped volume become 0 and
255. Colour is taken as it is. Volumes are read, never modified. Voxels that are not finite numbers are background.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError, shown
from .i18n import tr as _
from .stack import ValueSource
from .steps import result_of

# Name -> level and width in Hounsfield units.
LEVEL_AND_WIDTH = "level,width"
"""Name of a window that is given by numbers."""
CT_PRESETS: dict[str, tuple[float, float]] = {
    "soft-tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "brain": (40.0, 80.0),
    "bone": (400.0, 1800.0),
    "liver": (60.0, 160.0),
}
PERCENTILES = (0.5, 99.5)
# In CT, air has about -1000 HU and lung -700 HU. MR, PET and ultrasound have no values as low as this.
CT_HIGHEST_MINIMUM = -200.0
# Negative values beyond this fraction of the maximum are signal. Interpolation leaves small negative values in images
# without any (0.3 % of the maximum in a resampled DWI); z-scored images reach 30 to 60 % of it.
SIGNED_SHARE = 0.05
# Converters store CT without its rescale intercept: Hounsfield units plus one of these, or 24 or 48 more, which cannot be
# told from the values and hardly changes a window.
CT_OFFSETS = (1000, 2000)
# In HU: fat and soft tissue; the gap between them and lung, which few voxels of a CT lie in.
_TISSUE, _GAP = (-150, 150), (-500, -250)
# In 25 CT volumes of the body, tissue has 0.23 to 0.85 of the voxels, and the gap is 0.01 to 0.10 times as dense; in 30 MR
# volumes whose values reach as far, 0.21 times or denser.
_TISSUE_SHARE, _GAP_DENSITY = 0.15, 0.15
_COARSE_BINS = 1 << 16
COLOUR = "colour"


@dataclass(frozen=True)
class Window:
    """Linear map from scanner values to grey levels.

    Attributes:
        lower, upper: scanner values that become 0 and 255. Values outside are clipped.
        name: name for reports and the user interface.
        background: scanner value that becomes 0 even if it lies above `lower`; None for none.
        requested: level and width of the preset or of the user, if `lower` and `upper` were limited to the image's range.
        note: line for the user about how the window was chosen; "" for none.
    """

    lower: float
    upper: float
    name: str
    background: float | None = None
    requested: tuple[float, float] | None = None
    note: str = ""

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Map scanner values to grey levels.

        Args:
            values: array of any shape.

        Returns:
            uint8 array of the same shape. Fractions are truncated, as by the authors. Values that are not finite become 0.
        """
        if self.name == COLOUR:
            return values
        span = max(self.upper - self.lower, 1e-8)
        grey = np.clip(values, self.lower, self.upper).astype(np.float64)
        grey -= self.lower
        grey *= 1 / span
        grey *= 255.0
        if values.dtype.kind == "f":
            grey[~np.isfinite(values)] = 0
        result = grey.astype(np.uint8)
        if self.background is not None:
            result[values == self.background] = 0
        return result

    def describe(self) -> str:
        """Description for the user, such as "soft-tissue (level 40, width 400)" or "level -400, width 1200"."""
        if self.name == COLOUR:
            return _("colour, without a window")
        level, width = self.requested or ((self.lower + self.upper) / 2, self.upper - self.lower)
        if self.name == LEVEL_AND_WIDTH:
            return _("level {level:.5g}, width {width:.5g}").format(level=level, width=width)
        return _("{name} (level {level:.5g}, width {width:.5g})").format(name=self.name, level=level, width=width)


Steps = Generator[None, None, Window]


class WindowedStack:
    """Slices of a stack as models see them: a `SliceSource` that applies a window to a `ValueSource`.

    Args:
        values: stack in scanner values.
        window: window to apply.
    """

    def __init__(self, values: ValueSource, window: Window) -> None:
        self._values = values
        self.window = window

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._values.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self._values.spacing

    def slice_uint8(self, index: int) -> np.ndarray:
        return self.window.apply(self._values.slice_values(index))


def window_option(window: str | Sequence[float]) -> str:
    """A window as `choose_window` takes it: text as it is, (level, width) as ``LEVEL,WIDTH`` in full precision.

    Raises:
        InputError: it is neither.
    """
    if isinstance(window, str):
        return window
    try:
        level, width = (float(value) for value in window)
    except (TypeError, ValueError):
        raise InputError(
            _("window {window} cannot be read: give a name, 'LEVEL,WIDTH' or (level, width)").format(
                window=shown(window)
            )
        ) from None
    return f"{level:.17g},{width:.17g}"


def choose_window(wanted: str, values: ValueSource, modality: str | None = None) -> Window:
    """Choose the intensity window of a volume.

    Args:
        wanted: "auto", the name of a preset, or "LEVEL,WIDTH". "auto" chooses the soft-tissue window for CT and
            percentiles of the foreground for all other images. Presets are moved for a CT that is stored with an offset.
        values: the volume in scanner values.
        modality: DICOM modality, if known. Otherwise an image counts as CT if its smallest value is at most
            `CT_HIGHEST_MINIMUM`.

    Raises:
        InputError: `wanted` is not valid, the image is constant, or the window does not overlap its values.
    """
    return result_of(window_steps(wanted, values, modality))


def window_steps(wanted: str, values: ValueSource, modality: str | None = None) -> Steps:
    """Choose the intensity window in steps, for callers that must stay responsive; see `choose_window`.

    Yields:
        None after each slice that was read.

    Returns:
        The window.

    Raises:
        InputError: see `choose_window`.
    """
    if values.slice_values(0).ndim == 3:
        if wanted != "auto":
            raise InputError(_("a colour image has no window: leave it at auto"))
        return Window(0, 255, COLOUR)
    extremes = yield from _extremes(values)
    if extremes[0] == extremes[1]:
        raise InputError(
            _("every voxel has the value {value:g}: choose an image that shows something").format(value=extremes[0])
        )
    ct = modality == "CT" or (modality is None and extremes[0] <= CT_HIGHEST_MINIMUM)
    if wanted != "auto" and wanted not in CT_PRESETS:
        return _limited(_named_window(wanted), extremes)
    offset = 0
    if modality in ("CT", None) and extremes[0] > CT_HIGHEST_MINIMUM:
        offset = yield from _ct_offset(values, extremes)
    if wanted != "auto" or ct or offset:
        window = _named_window("soft-tissue" if wanted == "auto" else wanted)
        if modality == "CT" and not offset and extremes[0] >= 0:
            note = _(
                "No value of this CT is below 0: if they are not Hounsfield units, give a window as level and width."
            )
            window = replace(window, note=note)
        return _limited(_shifted(window, offset), extremes)
    return (yield from _percentile_window(values, extremes))


def _shifted(window: Window, offset: int) -> Window:
    """A preset for a CT whose values are Hounsfield units plus `offset`."""
    if not offset:
        return window
    assert window.requested is not None
    note = _(
        "This CT is stored as Hounsfield units plus about {offset}, without its rescale intercept: the window was moved."
    ).format(offset=offset)
    level, width = window.requested
    return replace(
        window,
        lower=window.lower + offset,
        upper=window.upper + offset,
        requested=(level + offset, width),
        note=note,
    )


def _ct_offset(values: ValueSource, extremes: tuple[float, float]) -> Generator[None, None, int]:
    """The one of `CT_OFFSETS` that a volume without air at -1000 HU is stored with; 0 if it does not look like CT."""
    lowest, highest = (math.floor(value) for value in extremes)
    if not (lowest > -min(CT_OFFSETS) and min(CT_OFFSETS) + _GAP[1] < highest < _COARSE_BINS):
        return 0
    counts = np.zeros(highest - lowest + 1, np.int64)
    for index in range(values.shape[0]):
        one = values.slice_values(index)
        finite = one[np.isfinite(one)]
        counts += np.bincount((finite - lowest).astype(np.intp).ravel(), minlength=len(counts))
        yield

    def density(limits: tuple[int, int], offset: int) -> float:
        first, last = (max(0, limit + offset - lowest) for limit in limits)
        return float(counts[first : last + 1].sum() / counts.sum() / (limits[1] - limits[0]))

    # The largest first: with 2000, air lies where tissue lies with 1000.
    for offset in reversed(CT_OFFSETS):
        tissue = density(_TISSUE, offset)
        if tissue * (_TISSUE[1] - _TISSUE[0]) >= _TISSUE_SHARE and density(_GAP, offset) <= _GAP_DENSITY * tissue:
            return offset
    return 0


def _named_window(wanted: str) -> Window:
    if wanted in CT_PRESETS:
        level, width = CT_PRESETS[wanted]
        return Window(level - width / 2, level + width / 2, wanted, requested=(level, width))
    try:
        level, width = (float(part) for part in wanted.split(","))
    except ValueError:
        raise InputError(
            _("window {wanted!r} is unknown: choose auto, {presets}, or LEVEL,WIDTH such as 40,400").format(
                wanted=wanted, presets=", ".join(CT_PRESETS)
            )
        ) from None
    if not (np.isfinite(level) and np.isfinite(width) and width > 0):
        raise InputError(
            _("window {wanted!r} has no usable width: give LEVEL,WIDTH with a width above 0").format(wanted=wanted)
        )
    return Window(level - width / 2, level + width / 2, LEVEL_AND_WIDTH, requested=(level, width))


def _limited(window: Window, extremes: tuple[float, float]) -> Window:
    """Limit a window to the values of the image, which is what the authors' min-max scaling after clipping amounts to."""
    lower, upper = (float(np.clip(value, window.lower, window.upper)) for value in extremes)
    if lower == upper:
        raise InputError(
            _(
                "window {window} shows nothing of this image, whose values run from {lowest:g} to "
                "{highest:g}: choose another window"
            ).format(window=window.describe(), lowest=extremes[0], highest=extremes[1])
        )
    return replace(window, lower=lower, upper=upper)


def _percentile_window(values: ValueSource, extremes: tuple[float, float]) -> Steps:
    signed = extremes[0] < -SIGNED_SHARE * abs(extremes[1])
    background = extremes[0] if signed else 0.0
    lower, upper = yield from _percentiles_above(background, values, extremes[1])
    if lower == upper:  # a nearly binary image
        lower, upper = background, extremes[1]
    return Window(lower, upper, "percentiles", background=background)


def _extremes(values: ValueSource) -> Generator[None, None, tuple[float, float]]:
    """Smallest and largest voxel value of a stack, read slice by slice.

    Raises:
        InputError: no voxel is a finite number.
    """
    lowest, highest = np.inf, -np.inf
    for index in range(values.shape[0]):
        one = values.slice_values(index)
        low, high = float(one.min()), float(one.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = one[np.isfinite(one)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (lowest, highest)
        lowest, highest = min(lowest, low), max(highest, high)
        yield
    if lowest > highest:
        raise InputError(_("no voxel of the image is a finite number: export it again"))
    return lowest, highest


def _percentiles_above(
    background: float, values: ValueSource, maximum: float
) -> Generator[None, None, tuple[float, float]]:
    """Percentiles of the voxels above `background`, exact and with the memory of about one slice.

    The first pass counts voxels in coarse bins. The second pass collects the voxels of the bins that the percentiles lie in,
    and interpolates linearly between ranks.
    """
    scale = (_COARSE_BINS - 1) / (maximum - background)

    def foreground() -> Iterable[np.ndarray]:
        for index in range(values.shape[0]):
            one = values.slice_values(index)
            yield one[(one > background) & np.isfinite(one)].astype(np.float64)

    def bins_of(voxels: np.ndarray) -> np.ndarray:
        return ((voxels - background) * scale).astype(np.intp)

    counts = np.zeros(_COARSE_BINS, np.int64)
    for voxels in foreground():
        counts += np.bincount(bins_of(voxels), minlength=_COARSE_BINS)
        yield
    ends = np.cumsum(counts)
    ranks = [(ends[-1] - 1) * percentile / 100 for percentile in PERCENTILES]
    wanted_ranks = sorted({int(np.floor(rank)) for rank in ranks} | {int(np.ceil(rank)) for rank in ranks})
    wanted_bins = np.unique(np.searchsorted(ends, wanted_ranks, side="right"))
    collected: list[np.ndarray] = []
    for voxels in foreground():
        collected.append(voxels[np.isin(bins_of(voxels), wanted_bins)])
        yield
    ordered = np.sort(np.concatenate(collected))
    # From ranks among all voxels to positions in `ordered`: subtract the voxels of bins that were not collected.
    starts = ends - counts
    kept_before = np.concatenate([[0], np.cumsum(counts[wanted_bins])])
    at_rank = {}
    for rank in wanted_ranks:
        position = np.searchsorted(ends[wanted_bins], rank, side="right")
        at_rank[rank] = ordered[kept_before[position] + rank - starts[wanted_bins[position]]]
    limits = []
    for rank in ranks:
        low, high = int(np.floor(rank)), int(np.ceil(rank))
        limits.append(float(at_rank[low] + (at_rank[high] - at_rank[low]) * (rank - low)))
    return limits[0], limits[1]
