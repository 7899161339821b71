"""``medsam-slicer adapt``: a model that has learned from contours that a department has drawn."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ..engine.environment import lower_priority
from ..engine.errors import Cancelled, InputError, MedSAMError
from ..engine.model_choice import ModelChoice
from ..engine.models.adapter import ENDING
from ..engine.models.catalogue import checked_key
from ..evaluation.cases import Case, read_cases
from ..io.output_files import check_output
from ..learning.adapt import Adaptation, Outcome, adapt
from ..learning.settings import LearningSettings
from .console import print_line
from .log_options import add_log_options
from .model_options import add_model_arguments

DESCRIPTION = (
    "Adapts a model to the contours of a table of cases, and compares it with the model before on patients that it has not "
    "seen. Interrupted, the same command goes on where it was."
)
_OWN_USE = "own use only"


class NotBetter(MedSAMError):
    """The adapted model is not better, and was not written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    parser.add_argument(
        "cases",
        metavar="CASES.csv",
        help="as for 'evaluate'; also a column 'patient' (default: the id up to its first '_'), and 'structure'",
    )
    parser.add_argument("--output", required=True, metavar=f"NAME{ENDING}", help="the adapted model")
    parser.add_argument("--report", metavar="REPORT.html", help="default: NAME_report.html beside the output")
    parser.add_argument("--title", help="its name in lists of models (default: NAME)")
    parser.add_argument("--licence", default=_OWN_USE, help=f"its licence (default: {_OWN_USE})")
    add_model_arguments(parser)
    parser.add_argument("--steps", type=int, metavar="N", help="most steps of the training")
    parser.add_argument("--seed", type=int, metavar="S", help="of everything that is random, patients held back too")
    parser.add_argument(
        "--no-held-back",
        action="store_true",
        help="learn from all patients and compare nothing: no report, no judgement",
    )
    parser.add_argument("--keep-anyway", action="store_true", help="write the model even if it is not better")
    parser.add_argument("--keep-work", action="store_true", help=f"keep the folder NAME{ENDING}.work")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    add_log_options(parser)


def run(options: argparse.Namespace) -> None:
    """Adapt the model.

    Raises:
        MedSAMError: the model was not written.
    """
    output = Path(options.output)
    cases = read_cases(options.cases)
    report = Path(options.report) if options.report else output.with_name(f"{output.stem}_report.html")
    _check_outputs(options, output, report, cases)
    wanted = Adaptation(
        cases=cases,
        output=output,
        report=report,
        choice=ModelChoice(options.model, options.weights, options.device, options.runtime),
        title=(options.title or "").strip() or output.stem,
        licence=options.licence.strip() or _OWN_USE,
        settings=_settings(options),
        hold_back=not options.no_held_back,
        keep_anyway=options.keep_anyway,
        keep_work=options.keep_work,
    )
    lower_priority()
    try:
        with _Bars(options.quiet) as bars:
            outcome = adapt(wanted, bars.show)
    except KeyboardInterrupt:
        raise Cancelled(
            f"interrupted; the same command goes on where it was. {output}.work holds what is done so far, with encoded "
            "images: delete it if you do not go on"
        ) from None
    _tell(options, outcome, output, report)


def _check_outputs(options: argparse.Namespace, output: Path, report: Path, cases: list[Case]) -> None:
    """Check, before hours are spent, that the outputs can be written and replace no input."""
    checked_key(output.stem)
    inputs = [options.cases, *(path for case in cases for path in (case.image, case.label))]
    check_output(output, [*inputs, *([options.model] if options.model.endswith(ENDING) else [])], (ENDING,))
    check_output(report, inputs, (".html",))


def _settings(options: argparse.Namespace) -> LearningSettings:
    settings = LearningSettings()
    if options.seed is not None:
        if options.seed < 0:
            raise InputError("--seed must not be negative")
        settings = replace(settings, seed=options.seed)
    if options.steps is not None:
        if options.steps < 1:
            raise InputError(f"--steps {options.steps} trains nothing: give 1 or more")
        settings = replace(settings, training=replace(settings.training, steps=options.steps))
    return settings


def _tell(options: argparse.Namespace, outcome: Outcome, output: Path, report: Path) -> None:
    if not options.quiet:
        for warning in outcome.warnings:
            print_line(f"Note: {warning}")
        print_line(outcome.description)
    verdict = outcome.verdict
    if verdict is not None and not verdict.better and not outcome.written:
        raise NotBetter(
            f"not better than the model before: {'; '.join(verdict.reasons)}; {output} was not written, see {report} "
            "(--keep-anyway writes it)"
        )
    if not options.quiet:
        if verdict is not None and not verdict.better:
            print_line(f"NOT better than the model before: {'; '.join(verdict.reasons)}")
        print_line(f"Written: {output}" + (f", {report}" if verdict is not None else ""))
        print_line(f"Use it with --model {output}, or 'medsam-slicer models import {output}'")


class _Bars:
    """A progress bar with the time left for each stage."""

    def __init__(self, quiet: bool) -> None:
        self._disable = True if quiet else None
        self._stage = ""
        self._bar: tqdm | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, stage: str, done: float) -> None:
        """Show what fraction of a stage is done."""
        if stage != self._stage:
            self._stack.close()
            self._stage = stage
            layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            self._bar = self._stack.enter_context(tqdm(total=1.0, desc=stage, bar_format=layout, disable=self._disable))
        assert self._bar is not None
        self._bar.update(done - self._bar.n)
