"""``medsam-slicer evaluate``: agreement with the truth on a table of cases."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tqdm import tqdm

from .engine.errors import InputError
from .engine.models.catalogue import find_model
from .engine.service_types import ModelChoice
from .evaluation.cases import read_cases
from .evaluation.run_all import RESULT_COLUMNS, SLICE_COLUMNS, evaluate, result_row, slice_rows, summary, write_table
from .evaluation.run_case import METHODS, Task
from .evaluation.truth_prompts import KINDS, PromptKind
from .io.segmentations import check_output


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    parser.add_argument("cases", metavar="CASES.csv", help="columns id,modality,image,label,value,axis,window")
    parser.add_argument("--prompt", required=True, metavar="KIND", help=KINDS)
    parser.add_argument("--output", required=True, metavar="RESULTS.csv")
    parser.add_argument("--method", default="ours", choices=METHODS, help="reference: the authors' own 3D algorithm")
    parser.add_argument("--jitter", type=int, default=0, metavar="PX", help="move each box edge by up to PX pixels")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the jitter")
    parser.add_argument("--model", default="litemedsam", metavar="KEY", help="see 'medsam-slicer models'")
    parser.add_argument("--weights", metavar="FILE", help="weights file to use instead of the one that is found")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--runtime", default="auto", help="auto or torch")
    parser.add_argument("--slices", metavar="SLICES.csv", help="also write one line for each slice")
    parser.add_argument("--plots", metavar="DIR", help="folder for plots: agreement per modality, DSC by confidence")
    parser.add_argument("--processes", type=int, metavar="N", help="cases that run side by side (default: one a core)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no table")


def run_evaluate(options: argparse.Namespace) -> None:
    """Evaluate and write the tables. Raises MedSAMError; then no table was written."""
    task = Task(
        kind=PromptKind.parse(options.prompt),
        method=options.method,
        choice=ModelChoice(options.model, options.weights, options.device, options.runtime),
        jitter=options.jitter,
        seed=options.seed,
    )
    find_model(options.model)
    if options.jitter < 0 or options.seed < 0:
        raise InputError("--jitter and --seed must not be negative")
    if options.processes is not None and options.processes < 1:
        raise InputError(f"--processes {options.processes} runs nothing: give 1 or more")
    cases = read_cases(options.cases)
    for path in (options.output, options.slices):
        if path:
            check_output(path, [options.cases], (".csv",))
    if options.plots and not Path(options.plots).is_dir():
        raise InputError(f"{options.plots} is not a folder: create it or choose another one")

    processes = min(options.processes or os.cpu_count() or 1, len(cases))
    found = {}
    with tqdm(total=len(cases), unit="case", desc="Evaluating", disable=True if options.quiet else None) as bar:
        for score in evaluate(cases, task, processes):
            found[score.case.id] = score
            bar.update()
    scores = [found[case.id] for case in cases]
    write_table(options.output, RESULT_COLUMNS, [result_row(score, task) for score in scores])
    if options.slices:
        write_table(options.slices, SLICE_COLUMNS, [row for score in scores for row in slice_rows(score)])
    if options.plots:
        from .evaluation.plots import write_plots

        write_plots(Path(options.plots), scores)
    if not options.quiet:
        print(summary(scores))
        print(f"Written: {options.output}")
