"""All cases, side by side where it pays, and the tables that come of them."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from ..engine.environment import THREADS_VARIABLE, embeddings_disk_megabytes
from ..engine.errors import InputError, MedSAMError, WorkerError, as_user_error
from ..engine.inference.embedding_store import open_embedding_store
from ..engine.inference.predictor import Predictor, load_predictor
from ..engine.log import get_logger, log_error
from ..engine.model_choice import LoadedModel, ModelChoice
from ..io.output_files import write_atomically
from .cases import Case
from .evaluate_case import CaseScore, Task, run_case

RESULT_COLUMNS = [
    "id",
    "modality",
    "prompt",
    "method",
    "model",
    "dsc",
    "nsd_2mm",
    "hd95_mm",
    "volume_error_pct",
    "slices",
    "seconds",
    "seconds_per_slice",
    "flagged_slices",
]
SLICE_COLUMNS = ["id", "modality", "index", "dsc", "predicted_iou", "confidence", "flagged", "key", "in_truth"]
LoadModel = Callable[[ModelChoice], tuple[Predictor, LoadedModel]]
_log = get_logger(__name__)
_predictor: Predictor | MedSAMError | None = None


class _NotReady(Exception):
    """A process could not load the model; holds the error to show. No case is to blame."""


def evaluate(
    cases: Sequence[Case],
    task: Task,
    processes: int,
    load: LoadModel = load_predictor,
    failed: Callable[[Case, MedSAMError], None] | None = None,
    start_log: Callable[[], object] | None = None,
) -> Iterator[CaseScore]:
    """Scores as they come. One thread in each process: results do not depend on how many run side by side.

    Args:
        processes: how many cases run at once, each in a process of its own.
        load: a function of a module, not a lambda: makes each process's model out of `task.choice`.
        failed: told of each case that cannot be used, whose message names it; the others go on. None: the first one ends it.
        start_log: a function of a module: has each process write its log somewhere.

    Raises:
        MedSAMError: what would happen to every case, such as missing weights.
    """

    def fail(case: Case, error: MedSAMError) -> None:
        if failed is None:
            raise error
        failed(case, error)

    lost: list[Case] = []
    prepare = (task, load, start_log)
    yield from _evaluate(cases, prepare, processes, fail, lost.append)
    for case in lost:
        # When a process ends, those beside it are ended too. By itself, only the case that ends it does so again.
        yield from _evaluate([case], prepare, 1, fail, lambda case: fail(case, _ended(case)))


def _evaluate(
    cases: Sequence[Case],
    prepare: tuple[Task, LoadModel, Callable[[], object] | None],
    processes: int,
    fail: Callable[[Case, MedSAMError], None],
    lose: Callable[[Case], None],
) -> Iterator[CaseScore]:
    # Started afresh, not forked: a forked copy of a threaded process can hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare, initargs=prepare)
    try:
        running = {pool.submit(_run, case, prepare[0]): case for case in cases}
        for future in as_completed(running):
            try:
                score = future.result()
            except _NotReady as error:
                raise error.args[0] from None
            except InputError as error:
                fail(running[future], error)
            except BrokenProcessPool:
                lose(running[future])
            else:
                yield score
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ended(case: Case) -> WorkerError:
    return WorkerError(
        f"case {case.id}: the process that evaluated it was ended, perhaps for want of memory: close other programs, give "
        "--processes 1, or leave the case out"
    )


def _prepare(task: Task, load: LoadModel, start_log: Callable[[], object] | None) -> None:
    global _predictor
    if start_log is not None:
        start_log()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ[THREADS_VARIABLE] = "1"
    try:
        _predictor = load(task.choice)[0]
        _predictor.cache.files = open_embedding_store(embeddings_disk_megabytes())
    except Exception as error:
        # Raised here it would reach nobody: the pool only says that it is broken.
        _predictor = as_user_error(error)
        log_error(_log, _predictor, "the model cannot be loaded")


def _end_with_parent() -> None:
    """A command that is killed tells nobody: without it, cases would go on by themselves."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(case: Case, task: Task) -> CaseScore:
    if isinstance(_predictor, MedSAMError):
        raise _NotReady(_predictor)
    try:
        return run_case(case, task, _predictor)
    except Exception as error:
        log_error(_log, error, "a case failed")
        raise


def result_row(score: CaseScore, task: Task) -> dict[str, str]:
    """One line of RESULTS.csv, as texts."""
    count = len(score.slices)
    return {
        "id": score.case.id,
        "modality": score.case.modality,
        "prompt": str(task.kind),
        "method": task.method,
        "model": score.model,
        "dsc": f"{score.agreement.dsc:.6f}",
        "nsd_2mm": f"{score.agreement.nsd_2mm:.6f}",
        "hd95_mm": f"{score.agreement.hd95_mm:.4f}",
        "volume_error_pct": f"{score.agreement.volume_error_pct:.4f}",
        "slices": str(count),
        "seconds": f"{score.seconds:.2f}",
        "seconds_per_slice": f"{score.seconds / max(count, 1):.3f}",
        "flagged_slices": str(sum(one.needs_review for one in score.slices)),
    }


def slice_rows(score: CaseScore) -> list[dict[str, str]]:
    """The slices of one case, as texts: what confidence is checked with."""
    return [
        {
            "id": score.case.id,
            "modality": score.case.modality,
            "index": str(one.index),
            "dsc": f"{one.dsc:.6f}",
            "predicted_iou": f"{one.predicted_iou:.6f}",
            "confidence": f"{one.confidence:.6f}",
            "flagged": str(int(one.needs_review)),
            "key": str(int(one.key)),
            "in_truth": str(int(one.in_truth)),
        }
        for one in score.slices
    ]


def write_table(path: Path | str, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """Write a CSV file, whole or not at all. Raises InputError if it cannot be written."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))


def summary(scores: Sequence[CaseScore]) -> str:
    """Median, interquartile range and mean per modality and over all cases, and what it cost, as lines of text."""
    lines = [f"{'modality':<10}{'cases':>6}  {'DSC':<30}{'NSD 2 mm':<30}{'HD95 mm':<32}{'volume error %'}"]
    modalities = sorted({score.case.modality for score in scores})
    groups = [(name, [score for score in scores if score.case.modality == name]) for name in modalities]
    for name, group in [*groups, ("all", list(scores))]:
        cells = []
        for attribute in ("dsc", "nsd_2mm", "hd95_mm", "volume_error_pct"):
            cells.append(_spread([getattr(score.agreement, attribute) for score in group]))
        lines.append(f"{name:<10}{len(group):>6}  {cells[0]:<30}{cells[1]:<30}{cells[2]:<32}{cells[3]}")
    lines.append("median [25th percentile, 75th percentile], mean")
    slices = max(1, sum(len(score.slices) for score in scores))
    encoded, decoded = (
        sum(getattr(score.timings, name) for score in scores) / slices for name in ("encoder_calls", "decoder_calls")
    )
    lines.append(f"{slices} slices, of each on average {encoded:.2f} encoder calls and {decoded:.2f} decoder calls")
    missed = sum(score.unanswered for score in scores)
    if missed:
        told = "slice that holds the object was" if missed == 1 else "slices that hold the object were"
        lines.append(
            f"{missed} {told} not reached: {'it is' if missed == 1 else 'they are'} in no figure of confidence"
        )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    # "lower": percentiles between a number and infinity (an empty result's distance) are not defined.
    low, middle, high = (float(np.percentile(values, q, method="lower")) for q in (25, 50, 75))
    if np.isfinite(values).all():
        low, middle, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return f"{middle:.3f} [{low:.3f}, {high:.3f}], {np.mean(values):.3f}"
