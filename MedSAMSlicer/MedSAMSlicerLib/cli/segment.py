"""``medsam-slicer segment``: one object in one image."""

from __future__ import annotations

import argparse
import time
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..api import MOST_RECTANGLES, Segmentation, load_model, segment, write_segmentation
from ..engine.errors import InputError
from ..engine.intensity import CT_PRESETS, Window, choose_window
from ..engine.model_choice import RunInfo
from ..engine.models.catalogue import find_model
from ..engine.models.weights import find_weights
from ..engine.stack import ArrayStack, array_axis
from ..engine.volume.volume_prompt import VolumePrompt
from ..io.image import Image
from ..io.image_files import read_image
from ..io.output_files import Writer, check_apart, check_output, write_together
from ..io.report import build_report, write_report
from ..io.segmentations import SEGMENTATION_ENDINGS
from ..io.windowed_image import windowed_image
from .console import print_line
from .log_options import add_log_options
from .model_options import add_model_arguments
from .prompt_options import add_prompt_arguments, check_prompt_options, prompt_from_options, prompt_kinds

DESCRIPTION = (
    "Contours one object in a NRRD, NIfTI or MetaImage file, or in a folder with one DICOM series. "
    "Voxel indices count from 0 in the image's own index order; ranges include both ends."
)
# One run predicts each slice a few times in a row: a few embeddings of 4 MB are enough.
_EMBEDDINGS_MB = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("image", metavar="IMAGE", help="file, or folder with one DICOM series")
    parser.add_argument("--output", required=True, metavar="OUT", help=".seg.nrrd, or a labelmap: .nrrd, .nii.gz, .mha")
    add_prompt_arguments(parser)
    options = parser.add_argument_group("options")
    options.add_argument(
        "--axis",
        type=str.upper,
        help="I, J or K: direction of propagation (default: the coarsest spacing; a tie: nearest to superior-inferior)",
    )
    add_model_arguments(options)
    options.add_argument(
        "--window", default="auto", help=f"auto, a CT window ({', '.join(CT_PRESETS)}), or LEVEL,WIDTH"
    )
    options.add_argument("--segment-name", default="Segment", metavar="TEXT", help="name of the segment in .seg.nrrd")
    options.add_argument("--report", metavar="REPORT.json", help="what was done, slice by slice")
    options.add_argument("--preview", metavar="PREVIEW.png", help="picture of image, prompt and result")
    options.add_argument(
        "--consensus",
        type=int,
        default=0,
        metavar="N",
        help=f"predict each prompted slice from N (2 to {MOST_RECTANGLES}) slightly different rectangles, and report where "
        "the masks disagree",
    )
    options.add_argument(
        "--keep-embeddings",
        type=int,
        metavar="MB",
        help="store embeddings of slices in up to MB megabytes of the cache folder: a later run on the same slices encodes "
        "nothing (default: $MEDSAM_SLICER_EMBEDDINGS_DISK_MB, or 0: none are stored)",
    )
    options.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Read the image, segment the object, write the files.

    Raises:
        MedSAMError: no file was written.
    """
    begin = time.perf_counter()
    _check_before_reading(options)
    image = read_image(options.image)
    prompt = prompt_from_options(options, image)
    window = choose_window(options.window, ArrayStack(image.voxels, image.spacing_ijk, prompt.axis), image.modality)
    # Frees the scanner values: only grey levels of the slices in question stay in memory.
    image, window = windowed_image(image, window, prompt.axis, prompt.stack.slice_range)
    found = _segment(options, image, prompt, window)
    if not found.mask.any():
        raise InputError(
            f"the model found no object in the prompt on {options.image}: check the prompt and the window "
            f"({window.describe()}); nothing was written"
        )

    @cache
    def report() -> dict[str, Any]:
        return build_report(
            image=image,
            axis=found.axis,
            prompt=found.prompt.stack,
            window=found.window,
            info=RunInfo(found.model, found.timings, list(found.notes)),
            results=list(found.slices),
            consensus=found.consensus,
            volume_ml=found.volume_ml,
            total_seconds=time.perf_counter() - begin,
        )

    files: dict[str, Writer] = {}
    name = options.segment_name
    files[options.output] = lambda path: write_segmentation(path, found, name=name)
    if options.preview:
        from ..io.preview import write_preview

        files[options.preview] = lambda path: write_preview(
            path, image, found.axis, found.window, found.prompt.stack, list(found.slices)
        )
    if options.report:
        # Last, so that its seconds include the writing of the others.
        files[options.report] = lambda path: write_report(path, report())
    write_together(files)
    if not options.quiet:
        _print_summary(report(), name, found.axis, list(files))


def _check_before_reading(options: argparse.Namespace) -> None:
    """Check everything that can be checked before minutes are spent."""
    check_prompt_options(options)
    if options.keep_embeddings is not None and options.keep_embeddings < 0:
        raise InputError(f"--keep-embeddings {options.keep_embeddings} is negative: give megabytes, or 0 for none")
    if options.consensus != 0 and not 2 <= options.consensus <= MOST_RECTANGLES:
        why = "has nothing to compare" if options.consensus < 2 else "takes too many runs of the decoder on every slice"
        raise InputError(f"--consensus {options.consensus} {why}: give 2 to {MOST_RECTANGLES}")
    if options.axis is not None:
        array_axis(options.axis)
    spec = find_model(options.model)
    spec.check_prompts(prompt_kinds(options))
    inputs: list[Path | str] = [path for path in (options.image, options.roi, options.mask, options.weights) if path]
    check_apart({"--output": options.output, "--report": options.report, "--preview": options.preview})
    check_output(options.output, inputs, SEGMENTATION_ENDINGS)
    if options.report:
        check_output(options.report, inputs, (".json",))
    if options.preview:
        check_output(options.preview, inputs, (".png",))
    find_weights(spec, options.weights)


def _segment(options: argparse.Namespace, image: Image, prompt: VolumePrompt, window: Window) -> Segmentation:
    """Segment with a progress bar. The model is freed before anything is written."""
    model = load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        runtime=options.runtime,
        embeddings_mb=_EMBEDDINGS_MB,
        embeddings_disk_mb=options.keep_embeddings,
    )
    slices = prompt.stack.slice_range
    total = slices[1] - slices[0] + 1 if slices else None
    # disable=None: no bar if standard error is not a terminal.
    with tqdm(total=total, unit="slice", desc="Segmenting", disable=True if options.quiet else None) as bar:
        return segment(
            image,
            prompt=prompt,
            model=model,
            window=window,
            consensus=options.consensus,
            on_slice=lambda _: bar.update(),
        )


def _print_summary(report: dict[str, Any], name: str, axis: str, written: list[str]) -> None:
    from ..engine.propagation.settings import PropagationSettings

    to_review = [entry["index"] for entry in report["slices"] if entry["flagged"]]
    found = [entry["index"] for entry in report["slices"] if entry["area_mm2"] > 0]
    summary = f"{name}: {report['volume_ml']:.3g} ml on slices {found[0]} to {found[-1]} along {axis}"
    print_line(f"{summary}, {report['seconds']['total']:.1f} s with {report['model']} on {report['device']}")
    for note in report["notes"]:
        print_line(note)
    limit = PropagationSettings().jitter.disputed_below
    disputed = [entry["index"] for entry in report["slices"] if entry.get("consensus", 1) < limit]
    if disputed:
        print_line(f"Rectangles disagree on {len(disputed)} slices: {', '.join(map(str, disputed))}")
    if to_review:
        print_line(f"Review {len(to_review)} of {len(report['slices'])} slices: {', '.join(map(str, to_review))}")
    print_line(f"Written: {', '.join(written)}")
