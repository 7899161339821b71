"""Tells the pixels of one object from those of its surroundings, as the slices predicted so far show both.

A decoder sees one slice and one box. Where the box does not fit, it takes for object what looks unlike the object on all
other slices, or leaves out what looks like it. Two classifiers are learned from the pixels whose logits are sure, again with
each slice, in closed form: a histogram of grey levels, and a linear discriminant (Fisher, The use of multiple measurements in
taxonomic problems, Annals of Eugenics 7:179, 1936) of the encoder's embedding, with a covariance shrunk towards a multiple of the
identity (Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of Multivariate Analysis
88:365, 2004). Their log-likelihood ratios are added to the decoder's logits, bounded, so that only pixels of which the decoder is
not sure change sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from cachetools import LRUCache
from scipy import ndimage

from ..prompts import Box
from ..resize import area_resize
from .settings import PixelClassifierSettings
from .slice_predictor import SliceMask, SlicePredictor

# Grey levels of 0..255 that share a bin of the histograms, and their smoothing in bins.
_LEVELS_PER_BIN = 4
_BLUR = 1.5
# Pixels of both histograms together that each of them is mixed with, and the least density that counts: few pixels say little.
_PRIOR_PIXELS = 50.0
_LEAST_DENSITY = 1e-3
# Tokens of each side without which the embedding says nothing.
_FEWEST_TOKENS = 3.0
# Least variance of a projected token, as a share of the squared distance of both means: few tokens seem to differ perfectly.
_LEAST_VARIANCE = 0.05
# Log-likelihood ratios are clipped to this magnitude.
_LARGEST_RATIO = 4.0
# Difference of the mean log-likelihood ratio of object and surroundings below which grey levels do not tell them apart.
_LEAST_CONTRAST = 0.5
# Side of the neighbourhood in which grey levels are averaged, in pixels of the decoder.
_NEIGHBOURHOOD = 5
# Views of slices that are kept between learning from them and refining them: of both directions of a propagation.
_VIEWS = 4


@dataclass(frozen=True, eq=False)
class _View:
    """The part of a slice around the object.

    Attributes:
        pixels: rows and columns of the decoder's logits.
        bins: int (h, w) bin of each pixel's grey level.
        tokens: float32 (channels, y, x) embedding of the part.
        origin: row and column, in pixels of the logits, where the first token begins.
        token_pixels: side of a token in pixels of the logits.
    """

    pixels: tuple[slice, slice]
    bins: np.ndarray
    tokens: np.ndarray
    origin: tuple[int, int]
    token_pixels: int


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over the sure pixels and tokens of one side, the object or its surroundings. They are never changed in place.

    Attributes:
        histogram: (bins,) number of pixels.
        tokens: number of tokens.
        sum: (channels,) sum of the tokens.
        squares: (channels, channels) sum of their outer products.
    """

    histogram: np.ndarray = field(default_factory=lambda: np.zeros(256 // _LEVELS_PER_BIN))
    tokens: float = 0.0
    sum: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    def with_slice(self, bins: np.ndarray, tokens: np.ndarray, weight: float) -> _Sums:
        """With int (n,) bins of pixels and float32 (m, channels) tokens of one more slice."""
        return _Sums(
            self.histogram + weight * np.bincount(bins, minlength=len(self.histogram)),
            self.tokens + weight * len(tokens),
            self.sum + weight * tokens.sum(axis=0, dtype=np.float64),
            self.squares + weight * (tokens.T @ tokens),
        )

    @property
    def pixels(self) -> float:
        return float(self.histogram.sum())

    @property
    def mean(self) -> np.ndarray:
        return np.asarray(self.sum / self.tokens)

    @property
    def covariance(self) -> np.ndarray:
        return np.asarray(self.squares / self.tokens - np.outer(self.mean, self.mean))


class PixelClassifier:
    """Classifier of the pixels of one object.

    Args:
        predictor: predictor of the stack, whose model has encoded the slices.
        settings: settings of the classifier.
        share: share of the change of the logits that is made, 0..1. With 0, nothing is learned.
    """

    def __init__(self, predictor: SlicePredictor, settings: PixelClassifierSettings, share: float) -> None:
        self._predictor, self._settings, self._share = predictor, settings, share
        self._grid = predictor.predictor.family.logits_grid(predictor.rows, predictor.columns)
        self._object, self._surroundings = _Sums(), _Sums()
        self._views: LRUCache[int, _View] = LRUCache(_VIEWS)

    def learn(self, index: int, mask: SliceMask) -> None:
        """Learn from a slice what object and surroundings look like.

        Args:
            index: slice index.
            mask: mask of the slice. Pixels and tokens of which its logits are sure count, by its reliability; an empty mask
                teaches nothing.
        """
        if self._share == 0 or not mask.mask.any():
            return
        view = self._view(index, mask)
        logits = mask.logits[view.pixels]
        tokens = view.tokens.transpose(1, 2, 0)
        of_tokens = _block_means(mask.logits, view)
        weight = min(1.0, max(0.01, mask.reliability))
        sure = self._settings.sure_logit
        self._object = self._object.with_slice(view.bins[logits > sure], tokens[of_tokens > sure], weight)
        self._surroundings = self._surroundings.with_slice(view.bins[logits < -sure], tokens[of_tokens < -sure], weight)

    def refined(self, index: int, mask: SliceMask) -> SliceMask:
        """The mask with the classifiers' log-likelihood ratios added to its logits.

        Args:
            index: slice index.
            mask: mask of the slice, from which `learn` has learned, too.

        Returns:
            `mask` itself if it is empty, if there are too few sure pixels, or if nothing would be left of it.
        """
        if self._share == 0 or not mask.mask.any() or min(self._object.pixels, self._surroundings.pixels) == 0:
            return mask
        view = self._view(index, mask)
        levels = self._of_levels()[view.bins]
        change = self._change(mask.logits[view.pixels], (levels + _neighbourhood(levels)) / 2)
        change += self._settings.embedding_weight * self._of_embedding(view)
        logits = mask.logits.copy()
        logits[view.pixels] += self._share * change
        refined = self._predictor.with_logits(mask, logits.astype(np.float32))
        return refined if refined.mask.any() else mask

    def refined_by_levels(self, index: int, logits: np.ndarray) -> tuple[np.ndarray, float]:
        """Logits of a slice in a 3D box that was not encoded, changed by its grey levels alone, and whether these fit.

        Only means of neighbourhoods count: there is no embedding to outweigh the noise of single pixels.

        Args:
            index: slice index.
            logits: float32 (h, w) logits at the decoder's resolution, from neighbouring slices.

        Returns:
            The logits, `logits` themselves if no pixel in the box belongs to the object, if there are too few sure pixels, or if
            nothing would be left; and how far the grey levels where `logits` see the object fit to those on the predicted
            slices, 0..1: 0 if they are those of the surroundings, 1 if they fit or if nothing can be said.
        """
        if self._share == 0 or min(self._object.pixels, self._surroundings.pixels) == 0 or not self._shows(logits):
            return logits, 1.0
        box = self._predictor.box3d
        assert box is not None
        pixels, bins = self._levels(index, box)
        ratios = self._of_levels()
        changed = logits.copy()
        changed[pixels] += self._share * self._change(logits[pixels], _neighbourhood(ratios[bins]))
        fit = self._fit(ratios, bins[logits[pixels] > 0])
        return (changed if self._shows(changed) else logits), fit

    def _fit(self, ratios: np.ndarray, bins: np.ndarray) -> float:
        """How far pixels with int (n,) bins have the grey levels of the object, 0..1."""
        one, other = (float(np.average(ratios, weights=of.histogram)) for of in (self._object, self._surroundings))
        if one - other < _LEAST_CONTRAST or not bins.size:
            return 1.0
        likeness = (float(ratios[bins].mean()) - other) / (one - other)
        return min(1.0, max(0.0, likeness / self._settings.least_likeness))

    def _shows(self, logits: np.ndarray) -> bool:
        return bool(self._predictor.from_logits(logits, 1.0).mask.any())

    def _change(self, logits: np.ndarray, grey: np.ndarray) -> np.ndarray:
        """float64 (h, w) change of logits by the log-likelihood ratios of grey levels, without that of the embedding."""
        settings = self._settings
        return (settings.logits_weight - 1) * logits + settings.grey_weight * grey + settings.bias

    def _of_levels(self) -> np.ndarray:
        """float64 (bins,) log-likelihood ratio of grey levels."""
        densities = [
            ndimage.gaussian_filter1d(one.histogram, _BLUR, mode="nearest")
            for one in (self._object, self._surroundings)
        ]
        both = sum(densities) / sum(one.sum() for one in densities)
        one, other = ((each + _PRIOR_PIXELS * both) / (each.sum() + _PRIOR_PIXELS) for each in densities)
        return np.clip(np.log((one + _LEAST_DENSITY) / (other + _LEAST_DENSITY)), -_LARGEST_RATIO, _LARGEST_RATIO)

    def _of_embedding(self, view: _View) -> np.ndarray | float:
        """float64 (h, w) log-likelihood ratio of the embedding at the pixels of a view; 0 if there are too few tokens."""
        one, other = self._object, self._surroundings
        if min(one.tokens, other.tokens) < _FEWEST_TOKENS:
            return 0.0
        within = (one.covariance + other.covariance) / 2
        apart = one.mean - other.mean
        if not apart.any():
            return 0.0
        # Where tokens of a side do not differ at all, their distance tells what a variance would be.
        ridge = (self._settings.shrinkage * np.trace(within) + _LEAST_VARIANCE * float(apart @ apart)) / len(within)
        direction = np.linalg.solve(within + ridge * np.eye(len(within)), apart)
        distance = float(direction @ apart)
        variance = float(direction @ within @ direction) + _LEAST_VARIANCE * distance**2
        middle = float(direction @ (one.mean + other.mean)) / 2
        scores = np.tensordot(direction, view.tokens, 1)
        side = view.token_pixels
        shifts = [
            (pixels.start - first + 0.5) / side - 0.5 for pixels, first in zip(view.pixels, view.origin, strict=True)
        ]
        at_pixels = ndimage.affine_transform(
            scores, [1 / side, 1 / side], shifts, view.bins.shape, order=1, mode="nearest"
        )
        return np.clip(distance * (at_pixels - middle) / variance, -_LARGEST_RATIO, _LARGEST_RATIO)

    def _view(self, index: int, mask: SliceMask) -> _View:
        view = self._views.get(index)
        if view is None:
            view = self._views[index] = self._seen(index, mask)
        return view

    def _seen(self, index: int, mask: SliceMask) -> _View:
        box = self._predictor.box3d or Box.from_mask(mask.mask)
        assert box is not None
        pixels, bins = self._levels(index, box)
        embedding = self._predictor.predictor.embed(self._predictor.image(index))
        side = self._grid.side // embedding.shape[1]
        first, end = (tuple(one.start // side for one in pixels), tuple(-(-one.stop // side) for one in pixels))
        return _View(
            pixels,
            bins,
            embedding[:, first[0] : end[0], first[1] : end[1]],
            (first[0] * side, first[1] * side),
            side,
        )

    def _levels(self, index: int, box: Box) -> tuple[tuple[slice, slice], np.ndarray]:
        """Rows and columns of the logits in and around a box, and the int (h, w) bins of their grey levels."""
        grid = self._grid
        rows, columns = (round(self._predictor.rows * grid.down), round(self._predictor.columns * grid.across))
        pixels = (
            _around(box.y0 * grid.down, (box.y1 + 1) * grid.down, self._settings.surroundings, rows),
            _around(box.x0 * grid.across, (box.x1 + 1) * grid.across, self._settings.surroundings, columns),
        )
        levels = area_resize(self._predictor.image(index), rows, columns)[pixels]
        if levels.ndim == 3:
            levels = levels.mean(axis=2)
        return pixels, (levels // _LEVELS_PER_BIN).astype(int)


def _around(low: float, high: float, surroundings: float, size: int) -> slice:
    """Pixels of an interval with its surroundings, of `size` pixels in all."""
    more = surroundings * (high - low) + 2
    return slice(max(0, int(low - more)), min(size, int(np.ceil(high + more))))


def _neighbourhood(levels: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.uniform_filter(levels, _NEIGHBOURHOOD))


def _block_means(logits: np.ndarray, view: _View) -> np.ndarray:
    """float32 (y, x) mean logit of each token of a view."""
    side, (_channels, down, across) = view.token_pixels, view.tokens.shape
    row, column = view.origin
    part = logits[row : row + down * side, column : column + across * side]
    return part.reshape(down, side, across, side).mean(axis=(1, 3))
