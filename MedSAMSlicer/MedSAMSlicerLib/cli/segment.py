"""``medsam-slicer segment``: one object in one image."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..api import (
    MOST_RECTANGLES,
    Model,
    Segmentation,
    load_model,
    segment,
    segment_on_series,
    write_segmentation,
)
from ..engine.errors import InputError
from ..engine.finite import check_finite_in_prompt
from ..engine.intensity import CT_PRESETS, Window, choose_window
from ..engine.model_choice import RunInfo
from ..engine.models.catalogue import find_model
from ..engine.models.weights import find_weights
from ..engine.stack import ArrayStack, array_axis, default_axis
from ..engine.volume.oriented_box import IndexBox
from ..engine.volume.volume_prompt import VolumePrompt, box_around, volume_prompt
from ..handoff.read_segments import resampling_notes
from ..handoff.segments import KINDS
from ..handoff.source_series import SourceSeries, read_source_series
from ..handoff.write_dicom import check_dicom_outputs, dicom_writers
from ..io.image import Image
from ..io.image_files import ImageSource, open_image, read_frame
from ..io.output_files import Writer, check_apart, check_output, with_suffix, write_together
from ..io.report import build_report, write_report
from ..io.segmentations import LONGEST_NAME, PICTURE_ENDING, SEGMENTATION_ENDINGS, segment_name
from ..io.windowed_image import windowed_image
from .console import print_line
from .handoff_options import name_warnings
from .log_options import add_log_options
from .model_options import add_model_arguments
from .prompt_options import add_prompt_arguments, check_prompt_options, prompt_from_options, prompt_kinds

DESCRIPTION = (
    "Contours one object in a NRRD, NIfTI or MetaImage file, in a picture, or in a folder with DICOM files. "
    "Voxel indices count from 0 in the image's own index order; ranges include both ends."
)
# One run predicts each slice a few times in a row: a few embeddings of 4 MB are enough.
_EMBEDDINGS_MB = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("image", metavar="IMAGE", help="file, or folder with DICOM files")
    parser.add_argument(
        "--output",
        required=True,
        metavar="OUT",
        help=".seg.nrrd, or a labelmap: .nrrd, .nii.gz, .mha, .png for one slice",
    )
    add_prompt_arguments(parser)
    options = parser.add_argument_group("options")
    options.add_argument(
        "--series",
        metavar="TEXT",
        help="number or UID of the DICOM series, or part of its description, if there are several",
    )
    options.add_argument(
        "--frame",
        metavar="N",
        help="time point, phase or repetition, from 0; all: the box is carried from frame to frame, and OUT is written for "
        "each, as OUT_frame000 and so on",
    )
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
    options.add_argument(
        "--segment-type", metavar="TYPE", help=f"{', '.join(KINDS)}, in DICOM files (default: what the name suggests)"
    )
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
    outputs = parser.add_argument_group("DICOM files, which refer to the series that was contoured")
    outputs.add_argument("--rtstruct", metavar="OUT.dcm", help="RT structure set, unapproved")
    outputs.add_argument("--seg", metavar="OUT.dcm", help="DICOM segmentation; needs the package highdicom")
    outputs.add_argument("--dicom", metavar="FOLDER", help="the series, if IMAGE is a file made of it")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Read the image, segment the object, write the files.

    Raises:
        MedSAMError: a file was not written; with ``--frame all``, those of the frames before it were.
    """
    begin = time.perf_counter()
    _check_before_reading(options)
    source = open_image(options.image, series=options.series)
    if options.frame == "all":
        _run_frames(options, source)
        return
    frame = None if options.frame is None else int(options.frame)
    series = None
    if options.rtstruct or options.seg:
        own = options.dicom is None
        series = read_source_series(options.dicom or options.image, options.series, frame if own else None)
    image = read_frame(source, frame, options.image)
    image, prompt, window = _prepared(options, image, None)
    found = _segment(options, _model(options), image, prompt, window)
    if not found.mask.any():
        raise InputError(
            f"the model found no object in the prompt on {options.image}: check the prompt and the window "
            f"({window.describe()}); nothing was written"
        )
    _write(options, found, begin, "", series)


def _run_frames(options: argparse.Namespace, source: ImageSource) -> None:
    """Segment every frame, each with the box around the object in the frame before it."""
    model = _model(options)
    box: IndexBox | None = None
    for frame in range(source.frames):
        begin = time.perf_counter()
        image, prompt, window = _prepared(options, read_frame(source, frame, options.image), box)
        found = _segment(options, model, image, prompt, window)
        if found.mask.any():
            box = box_around(found.mask, image.spacing_ijk)
            _write(options, found, begin, f"_frame{frame:03d}")
        elif box is None:
            raise InputError(
                f"the model found no object in the prompt on frame {frame} of {options.image}: check the prompt and the "
                f"window ({window.describe()})"
            )
        elif not options.quiet:
            print_line(f"Frame {frame}: no object was found where it was before; nothing was written")


def _prepared(options: argparse.Namespace, image: Image, box: IndexBox | None) -> tuple[Image, VolumePrompt, Window]:
    """The image as the model sees it, the prompt (that of the options, or a 3D box), and the window."""
    if box is None:
        prompt = prompt_from_options(options, image)
    else:
        axis = options.axis or default_axis(image.spacing_ijk, image.ijk_to_ras, image.dimensions)
        prompt = volume_prompt(image.dimensions, axis, box=box)
    stack = ArrayStack(image.voxels, image.spacing_ijk, prompt.axis)
    check_finite_in_prompt(stack, prompt.stack)
    window = choose_window(options.window, stack, image.modality)
    # Frees the scanner values: only grey levels of the slices in question stay in memory.
    windowed, applied = windowed_image(image, window, prompt.axis, prompt.stack.slice_range)
    return windowed, prompt, applied


def _write(
    options: argparse.Namespace, found: Segmentation, begin: float, suffix: str, series: SourceSeries | None = None
) -> None:
    """Write all files of a result, with `suffix` before the ending of their names, and print the summary.

    Args:
        series: the series that DICOM files refer to; None: there are none.
    """
    image, name = found.image, segment_name(options.segment_name)
    notes = list(found.notes)
    if name != " ".join(options.segment_name.split()):
        notes.append(f"The segment's name was cut to {LONGEST_NAME} characters.")

    @cache
    def report() -> dict[str, Any]:
        return build_report(
            image=image,
            axis=found.axis,
            prompt=found.prompt.stack,
            window=found.window,
            info=RunInfo(found.model, found.timings, notes),
            results=list(found.slices),
            consensus=found.consensus,
            volume_ml=found.volume_ml,
            total_seconds=time.perf_counter() - begin,
        )

    files: dict[str, Writer] = {}
    files[with_suffix(options.output, suffix)] = lambda path: write_segmentation(path, found, name=name)
    if series is not None:
        kind = options.segment_type and options.segment_type.upper()
        structure = segment_on_series(found, series, name=name, kind=kind)
        files |= dicom_writers(series, [structure], rtstruct=options.rtstruct, seg=options.seg)
        notes += [*resampling_notes([structure]), *name_warnings([structure])]
    if options.preview:
        from ..io.preview import write_preview

        files[with_suffix(options.preview, suffix)] = lambda path: write_preview(
            path, image, found.axis, found.window, found.prompt.stack, list(found.slices)
        )
    if options.report:
        # Last, so that its seconds include the writing of the others.
        files[with_suffix(options.report, suffix)] = lambda path: write_report(path, report())
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
    if options.frame is not None and options.frame != "all" and not options.frame.isdecimal():
        raise InputError(f"--frame {options.frame} is no frame: give a number from 0, or all")
    spec = find_model(options.model)
    spec.check_prompts(prompt_kinds(options))
    read = (options.image, options.roi, options.mask, options.key_mask, options.weights, options.dicom)
    inputs: list[Path | str] = [path for path in read if path]
    named = {option: getattr(options, option) for option in ("output", "report", "preview", "rtstruct", "seg")}
    check_apart({f"--{option}": path for option, path in named.items()})
    check_output(options.output, inputs, (*SEGMENTATION_ENDINGS, PICTURE_ENDING))
    if options.report:
        check_output(options.report, inputs, (".json",))
    if options.preview:
        check_output(options.preview, inputs, (".png",))
    _check_dicom_outputs(options, inputs)
    find_weights(spec, options.weights)


def _check_dicom_outputs(options: argparse.Namespace, inputs: Sequence[Path | str]) -> None:
    wanted = [f"--{option}" for option in ("rtstruct", "seg") if getattr(options, option)]
    if options.dicom and not wanted:
        raise InputError("--dicom is the series of --rtstruct and --seg: give one of them")
    if wanted and not options.dicom and not Path(options.image).is_dir():
        raise InputError(f"{wanted[0]} refers to a DICOM series: give its folder as the image, or with --dicom")
    if wanted and options.frame == "all":
        raise InputError(f"{wanted[0]} refers to one frame: give its number with --frame")
    for path in filter(None, (options.rtstruct, options.seg)):
        check_output(path, inputs, (".dcm",))
    check_dicom_outputs(options.seg, None)


def _model(options: argparse.Namespace) -> Model:
    return load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        runtime=options.runtime,
        embeddings_mb=_EMBEDDINGS_MB,
        embeddings_disk_mb=options.keep_embeddings,
    )


def _segment(
    options: argparse.Namespace, model: Model, image: Image, prompt: VolumePrompt, window: Window
) -> Segmentation:
    """Segment with a progress bar."""
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
