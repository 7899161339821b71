"""Whole 3D boxes: ours after the start, a second prompt, and the authors' algorithm; how cost grows with slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.evaluation.cvpr24_baseline import segment_as_authors

from .cases import BOX, CHOICE, FIRST, LAST, stack_of, truth_of
from .turns import Alternating, by_turns, ratios, spread, timed

KEPT_BYTES = 1 << 30
# Slices of a thin-slice CT.
THIN_MM = 1.25
MARGIN = 10
MOVED = Box(BOX.x0 + 6, BOX.y0 - 4, BOX.x1 + 6, BOX.y1 - 4)
# So many turns; the authors' way through many slices is timed on some of them: it encodes each slice anew, so that
# what a slice takes does not change.
ROUNDS = {10: 3, 40: 2}
MOST_OF_AUTHORS = 40
A_TURN = 5


def whole_box(
    service: SegmentationService, reference: Predictor, count: int, slice_mm: float | None = None
) -> dict[str, Any]:
    """A box through `count` slices, as often as `ROUNDS` says; slice by slice the two ways take turns.

    Args:
        slice_mm: as of `stack_of`; of thin slices not all are encoded.
    """
    source = stack_of(count + 2 * MARGIN, slice_mm=slice_mm)
    last = MARGIN + count - 1
    prompt = StackPrompt.from_box3d(MARGIN, last, BOX)
    moved = StackPrompt.from_box3d(MARGIN, last, MOVED)
    ours, second, authors = [], [], []
    info = RunInfo()
    for _ in range(ROUNDS.get(count, 1)):
        service.clear_cache()
        info = RunInfo()
        turns = Alternating(
            {
                "ours": (iter(service.segment(CHOICE, source, prompt, info)), A_TURN),
                "authors": (segment_as_authors(source, reference, MARGIN, last, BOX), A_TURN),
            }
        )
        turns.run({"authors": MOST_OF_AUTHORS})
        timed_slices = len(turns.results["authors"])
        assert len(turns.results["ours"]) == count and timed_slices == min(count, MOST_OF_AUTHORS)
        ours.append(turns.total("ours"))
        authors.append(turns.total("authors") * count / timed_slices)
        again = RunInfo()
        second.append(timed(lambda again=again: list(service.segment(CHOICE, source, moved, again))))
        assert again.timings.encoder_calls == 0
    spent = info.timings
    return {
        "ours": spread(ours),
        "second prompt": spread(second),
        "authors": {**spread(authors), "slices timed": min(count, MOST_OF_AUTHORS)},
        "ours of the authors'": ratios(ours, authors),
        "second of first": ratios(second, ours),
        "seconds a slice": spread([one / count for one in ours]),
        # Of the last round: where the time goes.
        "profile": {
            "encode": spent.encode,
            "decode": spent.decode,
            "rest": ours[-1] - spent.encode - spent.decode,
            "encoder calls": spent.encoder_calls,
            "decoder calls": spent.decoder_calls,
        },
    }


def by_length(service: SegmentationService, other: SegmentationService, longest: int) -> dict[str, Any]:
    """Seconds a slice in one box of `longest` slices and in boxes of ten, by turns; both encode each of their slices anew.

    Args:
        other: with the same model, for the boxes of ten: what one of the two keeps is not the other's.
    """

    def box(of: SegmentationService, count: int) -> Iterator[Any]:
        prompt = StackPrompt.from_box3d(MARGIN, MARGIN + count - 1, BOX)
        return of.segment(CHOICE, stack_of(count + 2 * MARGIN), prompt, RunInfo())

    def tens() -> Iterator[Any]:
        for _ in range(longest // 10):
            other.clear_cache()
            yield from box(other, 10)

    service.clear_cache()
    turns = Alternating({"long": (box(service, longest), 10), "short": (tens(), 10)})
    turns.run()
    # The first turns hold the beginning of each. What comes after the last result is nothing.
    long, short = (turns.seconds[name][1 : longest // 10] for name in ("long", "short"))
    return {
        "slices": longest,
        f"a slice in {longest}": spread([one / 10 for one in long]),
        "a slice in 10": spread([one / 10 for one in short]),
        "long of short": ratios(long, short),
    }


def outside_the_reach(service: SegmentationService, repeats: int) -> dict[str, Any]:
    """The same box in a short and in a long volume, its slices encoded before."""
    prompt = StackPrompt.from_box3d(MARGIN, MARGIN + 9, BOX)
    sources = {slices: stack_of(slices) for slices in (30, 300)}
    seconds = by_turns(
        {
            str(slices): lambda source=source: list(service.segment(CHOICE, source, prompt, RunInfo()))
            for slices, source in sources.items()
        },
        repeats,
    )
    found: dict[str, Any] = {f"{slices} slices": spread(seconds[str(slices)]) for slices in sources}
    return {**found, "long of short": ratios(seconds["300"], seconds["30"])}


def agreement(service: SegmentationService, reference: Predictor) -> dict[str, float]:
    """DSC of the demo's tumour from its 3D box, ours and the authors'. Many cases: docs/propagation.md."""
    source, truth = stack_of(LAST + MARGIN), truth_of(FIRST, LAST)
    ours, authors = np.zeros_like(truth), np.zeros_like(truth)
    for result in service.segment(CHOICE, source, StackPrompt.from_box3d(FIRST, LAST, BOX), RunInfo()):
        ours[result.index - FIRST] = result.mask
    for step in segment_as_authors(source, reference, FIRST, LAST, BOX):
        authors[step.index - FIRST] = step.mask
    return {name: dice(found, truth) for name, found in (("ours", ours), ("authors", authors))}
