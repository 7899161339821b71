"""``medsam-slicer segment``: one object in one image."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from ..engine.environment import embeddings_disk_megabytes
from ..engine.errors import InputError
from ..engine.inference.embedding_store import open_embedding_store
from ..engine.intensity import WindowedStack, choose_window
from ..engine.model_choice import ModelChoice, RunInfo
from ..engine.models.catalogue import find_model
from ..engine.models.weights import find_weights
from ..engine.prompts import StackPrompt
from ..engine.results import SliceResult, StackResult
from ..engine.stack import ArrayStack, SliceSource, array_axis, default_axis, from_slices_first
from ..io.image import Image
from ..io.image_files import read_image
from ..io.output_files import Writer, check_apart, check_output, write_together
from ..io.report import build_report, write_report
from ..io.segmentations import SEGMENTATION_ENDINGS, read_label, write_segmentation
from ..io.windowed_image import windowed_image
from .console import say
from .prompt_options import check_prompt_options, limit_from_options, prompt_from_options
from .slice_options import kinds_of

if TYPE_CHECKING:
    from ..engine.propagation.prompt_jitter import Consensus

# Every rectangle is a run of the decoder on every slice, and its mask is held until all are there.
MOST_RECTANGLES = 100
SEGMENT_COLOUR = (1.0, 0.75, 0.0)
# One run asks for each slice a few times in a row: a few embeddings of 4 MiB are plenty.
_CACHE_BYTES = 16 << 20


def run_segment(options: argparse.Namespace) -> None:
    """Read, segment, write. Raises MedSAMError; then no file was written."""
    begin = time.perf_counter()
    _check_before_reading(options)
    image = read_image(options.image)
    axis = options.axis or default_axis(image.spacing_ijk, image.ijk_to_ras)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
    i, j, k = image.voxels.shape[::-1]
    mask = None if options.mask is None else _mask_of(options.mask, image, axis)
    prompt = prompt_from_options(options, (i, j, k), image.ijk_to_ras, axis, mask)
    del mask
    prompt.checked_for(stack.shape)
    limited = limit_from_options(options, (i, j, k), image.ijk_to_ras, axis)
    window = choose_window(options.window, stack, image.modality)
    image, window = windowed_image(image, window, axis, prompt.slice_range)
    stack = ArrayStack(image.voxels, image.spacing_ijk, axis)

    kept_megabytes = embeddings_disk_megabytes() if options.keep_embeddings is None else options.keep_embeddings
    choice = ModelChoice(options.model, options.weights, options.device, options.runtime)
    info = RunInfo()
    source = WindowedStack(stack, window)
    found, consensus = _segment(choice, source, prompt, info, limited, options.consensus, kept_megabytes, options.quiet)
    if not found.pixels:
        raise InputError(
            f"the model found no object in the prompt on {options.image}: check the prompt and the window "
            f"({window.describe()}); nothing was written"
        )
    results = list(found)

    @cache
    def report() -> dict[str, Any]:
        return build_report(
            image=image,
            axis=axis,
            prompt=prompt,
            window=window,
            info=info,
            results=results,
            consensus=consensus,
            volume_ml=float(found.pixels * np.prod(stack.spacing) / 1000),
            total_seconds=time.perf_counter() - begin,
        )

    files: dict[str, Writer] = {}
    in_volume = from_slices_first(found.to_stack(), axis)
    name = options.segment_name
    files[options.output] = lambda path: write_segmentation(path, in_volume, image, name, SEGMENT_COLOUR)
    if options.preview:
        from ..io.preview import write_preview

        files[options.preview] = lambda path: write_preview(path, image, axis, window, prompt, results)
    if options.report:
        # Last, so that its seconds hold the writing of the others.
        files[options.report] = lambda path: write_report(path, report())
    write_together(files)
    if not options.quiet:
        _print_summary(report(), name, axis, list(files))


def _check_before_reading(options: argparse.Namespace) -> None:
    """Everything that can be refused before minutes are spent."""
    check_prompt_options(options)
    if (embeddings_disk_megabytes() if options.keep_embeddings is None else options.keep_embeddings) < 0:
        raise InputError(f"--keep-embeddings {options.keep_embeddings} is no room: give megabytes, or 0 for none")
    if options.consensus != 0 and not 2 <= options.consensus <= MOST_RECTANGLES:
        why = "compares nothing" if options.consensus < 2 else "asks too many rectangles on every slice"
        raise InputError(f"--consensus {options.consensus} {why}: give 2 to {MOST_RECTANGLES}")
    if options.axis is not None:
        array_axis(options.axis)
    spec = find_model(options.model)
    spec.check_prompts(kinds_of(options))
    inputs: list[Path | str] = [path for path in (options.image, options.roi, options.mask, options.weights) if path]
    check_apart({"--output": options.output, "--report": options.report, "--preview": options.preview})
    check_output(options.output, inputs, SEGMENTATION_ENDINGS)
    if options.report:
        check_output(options.report, inputs, (".json",))
    if options.preview:
        check_output(options.preview, inputs, (".png",))
    find_weights(spec, options.weights)


def _mask_of(path: str, image: Image, axis: str) -> np.ndarray:
    """bool (slices, rows, columns) along `axis`: whatever is not 0 in a labelmap on the image's grid."""
    return np.moveaxis(read_label(path, None, like=image), array_axis(axis), 0)


def _segment(
    choice: ModelChoice,
    source: SliceSource,
    prompt: StackPrompt,
    info: RunInfo,
    limited: Callable[[SliceResult], SliceResult],
    asked: int,
    kept_megabytes: int,
    quiet: bool,
) -> tuple[StackResult, dict[int, Consensus]]:
    """The slices that were answered, and the consensus of `asked` rectangles. The model is let go afterwards."""
    from ..engine.serving.run_log import RunLog
    from ..engine.serving.service import SegmentationService

    service = SegmentationService(_CACHE_BYTES, open_embedding_store(kept_megabytes))
    service.load(choice)
    log = RunLog(choice, source, prompt)
    found = StackResult(source.shape)
    consensus: dict[int, Consensus] = {}
    total = prompt.slice_range[1] - prompt.slice_range[0] + 1 if prompt.slice_range else None
    # disable=None: no bar where standard error is not a terminal.
    with tqdm(total=total, unit="slice", desc="Segmenting", disable=True if quiet else None) as bar:
        for result in service.segment(choice, source, prompt, info):
            found.add(limited(result))
            log.slices += 1
            if asked and result.box is not None:
                image = source.slice_uint8(result.index)
                consensus[result.index] = service.consensus(choice, image, result.box, asked)
            bar.update()
    log.finished(info)
    return found, consensus


def _print_summary(report: dict[str, Any], name: str, axis: str, written: list[str]) -> None:
    from ..engine.propagation.prompt_jitter import DISPUTED_BELOW

    flagged = [entry["index"] for entry in report["slices"] if entry["flagged"]]
    found = [entry["index"] for entry in report["slices"] if entry["area_mm2"] > 0]
    summary = f"{name}: {report['volume_ml']:.3g} ml on slices {found[0]} to {found[-1]} along {axis}"
    say(f"{summary}, {report['seconds']['total']:.1f} s with {report['model']} on {report['device']}")
    for note in report["notes"]:
        say(note)
    disputed = [entry["index"] for entry in report["slices"] if entry.get("consensus", 1) < DISPUTED_BELOW]
    if disputed:
        say(f"Rectangles disagree on {len(disputed)} slices: {', '.join(map(str, disputed))}")
    if flagged:
        say(f"Review {len(flagged)} of {len(report['slices'])} slices: {', '.join(map(str, flagged))}")
    say(f"Written: {', '.join(written)}")
