"""Time of whole 3D boxes: a first and a second prompt, the authors' algorithm, and the influence of numbers of slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.masks import dice
from MedSAMSlicerLib.engine.model_choice import ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.serving.service import SegmentationService
from MedSAMSlicerLib.evaluation.cvpr24_baseline import segment_as_authors

from .alternation import AlternatingGenerators, quartiles, ratios, time_alternately, timed
from .cases import BOX, CHOICE, FIRST, LAST, demo_mask, demo_stack

CACHE_BYTES = 1 << 30
THIN_MM = 1.25
"""Slice distance of a CT with thin slices."""
FAR_MM = 12.0
"""Slice distance at which every slice is encoded, however many there are."""
MARGIN = 10
"""Slices of the stack on each side of the box."""
MOVED = Box(BOX.x0 + 6, BOX.y0 - 4, BOX.x1 + 6, BOX.y1 - 4)
ROUNDS = {10: 3, 40: 2}
"""Rounds by number of slices; 1 for others."""
MOST_SLICES_OF_AUTHORS = 40
"""The authors' code encodes each slice, so that its time for more slices can be extrapolated."""
SLICES_PER_TURN = 5


def time_box(
    service: SegmentationService,
    reference: Predictor,
    count: int,
    slice_mm: float | None = None,
    choice: ModelChoice = CHOICE,
) -> dict[str, Any]:
    """Time a box of `count` slices, alternating with the authors' algorithm, and then a moved box.

    Args:
        slice_mm: distance of slices; see `demo_stack`.
        choice: model and device of ours.
    """
    source = demo_stack(count + 2 * MARGIN, slice_mm=slice_mm)
    last = MARGIN + count - 1
    prompt = StackPrompt.from_box3d(MARGIN, last, BOX)
    moved = StackPrompt.from_box3d(MARGIN, last, MOVED)
    ours, second, authors = [], [], []
    info = RunInfo()
    # Networks are compiled when they are first used.
    service.encode(choice, source.slice_uint8(0))
    for _ in range(ROUNDS.get(count, 1)):
        service.clear_cache()
        info = RunInfo()
        generators = AlternatingGenerators(
            {
                "ours": (iter(service.segment(choice, source, prompt, info)), SLICES_PER_TURN),
                "authors": (segment_as_authors(source, reference, MARGIN, last, BOX), SLICES_PER_TURN),
            }
        )
        generators.run({"authors": MOST_SLICES_OF_AUTHORS})
        timed_slices = len(generators.results["authors"])
        assert len(generators.results["ours"]) == count and timed_slices == min(count, MOST_SLICES_OF_AUTHORS)
        ours.append(generators.total("ours"))
        authors.append(generators.total("authors") * count / timed_slices)
        second_info = RunInfo()
        second.append(timed(lambda info=second_info: list(service.segment(choice, source, moved, info))))
        assert second_info.timings.encoder_calls == 0
    timings = info.timings
    return {
        "ours": quartiles(ours),
        "second prompt": quartiles(second),
        "authors": {**quartiles(authors), "slices timed": min(count, MOST_SLICES_OF_AUTHORS)},
        "ours of the authors'": ratios(ours, authors),
        "second of first": ratios(second, ours),
        "seconds a slice": quartiles([one / count for one in ours]),
        # Of the last round.
        "profile": {
            "encode": timings.encode,
            "decode": timings.decode,
            "rest": ours[-1] - timings.encode - timings.decode,
            "encoder calls": timings.encoder_calls,
            "decoder calls": timings.decoder_calls,
        },
    }


def time_box_lengths(service: SegmentationService, other: SegmentationService, longest: int) -> dict[str, Any]:
    """Seconds per slice in one box of `longest` slices and in boxes of 10 slices, alternately. All slices are encoded.

    Args:
        service: runs the long box.
        other: runs the short boxes; a service of its own, because caches must not be shared.
    """

    def box(of: SegmentationService, count: int) -> Iterator[Any]:
        prompt = StackPrompt.from_box3d(MARGIN, MARGIN + count - 1, BOX)
        return of.segment(CHOICE, demo_stack(count + 2 * MARGIN, slice_mm=FAR_MM), prompt, RunInfo())

    def short_boxes() -> Iterator[Any]:
        for _ in range(longest // 10):
            other.clear_cache()
            yield from box(other, 10)

    service.clear_cache()
    generators = AlternatingGenerators({"long": (box(service, longest), 10), "short": (short_boxes(), 10)})
    generators.run()
    # The first turns include the start of a run; the turns after the last result are empty.
    long, short = (generators.seconds[name][1 : longest // 10] for name in ("long", "short"))
    return {
        "slices": longest,
        f"a slice in {longest}": quartiles([one / 10 for one in long]),
        "a slice in 10": quartiles([one / 10 for one in short]),
        "long of short": ratios(long, short),
    }


def time_volume_lengths(service: SegmentationService, repeats: int) -> dict[str, Any]:
    """Seconds of the same box in a short and in a long volume, with cached embeddings."""
    prompt = StackPrompt.from_box3d(MARGIN, MARGIN + 9, BOX)
    sources = {slices: demo_stack(slices) for slices in (30, 300)}
    seconds = time_alternately(
        {
            str(slices): lambda source=source: list(service.segment(CHOICE, source, prompt, RunInfo()))
            for slices, source in sources.items()
        },
        repeats,
    )
    table: dict[str, Any] = {f"{slices} slices": quartiles(seconds[str(slices)]) for slices in sources}
    return {**table, "long of short": ratios(seconds["300"], seconds["30"])}


def demo_dice(service: SegmentationService, reference: Predictor) -> dict[str, float]:
    """Dice coefficients of the demo's tumour from its 3D box. For many cases see docs/development/propagation.md."""
    source, truth = demo_stack(LAST + MARGIN), demo_mask(FIRST, LAST)
    ours, authors = np.zeros_like(truth), np.zeros_like(truth)
    for result in service.segment(CHOICE, source, StackPrompt.from_box3d(FIRST, LAST, BOX), RunInfo()):
        ours[result.index - FIRST] = result.mask
    for step in segment_as_authors(source, reference, FIRST, LAST, BOX):
        authors[step.index - FIRST] = step.mask
    return {name: dice(mask, truth) for name, mask in (("ours", ours), ("authors", authors))}
