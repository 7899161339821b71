"""``medsam-slicer evaluate``: agreement with the truth on a table of cases."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ..engine.errors import InputError, MedSAMError
from ..engine.model_choice import ModelChoice
from ..engine.models.catalogue import find_model
from ..engine.models.weights import find_weights
from ..evaluation.cases import Case, read_cases
from ..evaluation.evaluate import evaluate
from ..evaluation.evaluate_case import CaseScore, Task
from ..evaluation.result_tables import RESULT_COLUMNS, SLICE_COLUMNS, result_row, slice_rows, summary
from ..evaluation.simulated_prompts import KINDS, PromptKind
from ..io.output_files import Writer, cannot_write, check_apart, check_output, write_together
from ..io.tables import write_table
from .console import print_line
from .log_options import add_log_options, start_logging
from .model_options import add_model_arguments

DESCRIPTION = "Segments the cases of a table with prompts derived from the truth, and compares the results with it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument("cases", metavar="CASES.csv", help="columns id,modality,image,label,value,axis,window")
    parser.add_argument("--prompt", required=True, metavar="KIND", help=KINDS)
    parser.add_argument("--output", required=True, metavar="RESULTS.csv", help="one line for each case")
    parser.add_argument("--method", default="ours", help="ours, or reference: the authors' own 3D algorithm")
    parser.add_argument("--jitter", type=int, default=0, metavar="PX", help="move each box edge by up to PX pixels")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the jitter")
    add_model_arguments(parser)
    parser.add_argument("--slices", metavar="SLICES.csv", help="also write one line for each slice")
    parser.add_argument(
        "--plots",
        metavar="DIR",
        help="folder for plots, created if necessary: agreement per modality, DSC by confidence",
    )
    parser.add_argument("--processes", type=int, metavar="N", help="cases that run in parallel (default: one per core)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate all cases and write tables and plots.

    Raises:
        MedSAMError: no file was written. If only some cases failed, as the message says, the files of the others were.
    """
    task = Task(
        kind=PromptKind.parse(options.prompt),
        method=options.method,
        choice=ModelChoice(options.model, options.weights, options.device, options.runtime),
        jitter=options.jitter,
        seed=options.seed,
    )
    find_weights(find_model(options.model), options.weights)
    if options.processes is not None and options.processes < 1:
        raise InputError(f"--processes {options.processes} runs nothing: give 1 or more")
    cases = read_cases(options.cases)
    _check_outputs(options, cases)

    processes = min(options.processes or os.cpu_count() or 1, len(cases))
    found: dict[str, CaseScore] = {}
    failures: dict[str, MedSAMError] = {}
    start_log = partial(start_logging, options.verbose, options.log) if options.verbose or options.log else None
    with tqdm(total=len(cases), unit="case", desc="Evaluating", disable=True if options.quiet else None) as bar:

        def keep_failure(case: Case, error: MedSAMError) -> None:
            failures[case.id] = error
            bar.update()

        for score in evaluate(cases, task, processes, failed=keep_failure, start_log=start_log):
            found[score.case.id] = score
            bar.update()
    failed = [str(failures[case.id]) for case in cases if case.id in failures]
    if not found:
        raise InputError("; ".join(failed))
    scores = [found[case.id] for case in cases if case.id in found]
    files: dict[str, Writer] = {}
    results = [result_row(score, task) for score in scores]
    files[options.output] = lambda path: write_table(path, RESULT_COLUMNS, results)
    if options.slices:
        slices = [row for score in scores for row in slice_rows(score)]
        files[options.slices] = lambda path: write_table(path, SLICE_COLUMNS, slices)
    if options.plots:
        from ..evaluation.plots import plot_writers

        files |= {str(Path(options.plots) / name): writer for name, writer in plot_writers(scores).items()}
    with _created_folder(options.plots):
        write_together(files)
    if not options.quiet:
        print_line(summary(scores))
        print_line(f"Written: {', '.join(files)}")
    if failed:
        left = f"{len(failed)} of {len(cases)} cases could not be used and are in no table or figure"
        raise InputError(f"{left}: {'; '.join(failed)}")


def _check_outputs(options: argparse.Namespace, cases: list[Case]) -> None:
    """Check, before hours are spent, that the outputs can be written and replace no input."""
    from ..evaluation.plots import PLOTS

    inputs = [options.cases, *(path for case in cases for path in (case.image, case.label))]
    check_apart({"--output": options.output, "--slices": options.slices, "--plots": options.plots})
    for path in (options.output, options.slices):
        if path:
            check_output(path, inputs, (".csv",))
    if options.plots:
        folder = Path(options.plots)
        if not os.path.lexists(folder):
            check_output(folder, inputs, endings=("",))
        elif not folder.is_dir():
            raise InputError(f"{folder} is not a folder: choose another one")
        else:
            for name in PLOTS:
                check_output(folder / name, inputs, (".png",))


@contextmanager
def _created_folder(path: str | None) -> Iterator[None]:
    """Create the folder if it does not exist, and remove it again if the body fails."""
    made = None
    if path and not Path(path).is_dir():
        made = Path(path)
        try:
            made.mkdir()
        except OSError as error:
            raise cannot_write(made, error) from error
    try:
        yield
    except BaseException:
        if made and not any(made.iterdir()):
            made.rmdir()
        raise
