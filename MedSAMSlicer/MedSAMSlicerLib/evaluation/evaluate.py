"""Evaluation of all cases, in parallel processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.environment import THREADS_VARIABLE, embeddings_disk_megabytes
from ..engine.errors import InputError, MedSAMError, WorkerError, as_user_error
from ..engine.inference.embedding_store import open_embedding_store
from ..engine.inference.predictor import Predictor, load_predictor
from ..engine.model_choice import LoadedModel, ModelChoice
from .cases import Case
from .evaluate_case import CaseScore, Task, run_case

LoadModel = Callable[[ModelChoice], tuple[Predictor, LoadedModel]]
_log = get_logger(__name__)
_predictor: Predictor | MedSAMError | None = None


class _NotReady(Exception):
    """A process could not load the model. Holds the error for the user, which concerns all cases."""


def evaluate(
    cases: Sequence[Case],
    task: Task,
    processes: int,
    load: LoadModel = load_predictor,
    failed: Callable[[Case, MedSAMError], None] | None = None,
    start_log: Callable[[], object] | None = None,
) -> Iterator[CaseScore]:
    """Evaluate cases in parallel.

    Each process computes with one thread, so the results do not depend on the number of processes.

    Args:
        cases: cases to evaluate.
        task: prompts, method and model.
        processes: number of processes, each of which evaluates one case at a time.
        load: function that loads the model in each process. It is pickled, so it must be a module's function.
        failed: called with each case that cannot be evaluated and its error, after which the other cases go on. If None,
            the first such error is raised.
        start_log: module's function that starts the log in each process.

    Yields:
        Scores in the order in which the cases finish.

    Raises:
        MedSAMError: no case can be evaluated, for example because the weights are missing.
    """

    def fail(case: Case, error: MedSAMError) -> None:
        if failed is None:
            raise error
        failed(case, error)

    lost: list[Case] = []
    prepare = (task, load, start_log)
    yield from _evaluate(cases, prepare, processes, fail, lost.append)
    for case in lost:
        # A process that dies takes the whole pool with it. Repeated alone, only the case that caused it fails again.
        yield from _evaluate([case], prepare, 1, fail, lambda case: fail(case, _ended(case)))


def _evaluate(
    cases: Sequence[Case],
    prepare: tuple[Task, LoadModel, Callable[[], object] | None],
    processes: int,
    fail: Callable[[Case, MedSAMError], None],
    lose: Callable[[Case], None],
) -> Iterator[CaseScore]:
    # Spawned, not forked: a fork of a process with threads can hang.
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
        f"case {case.id}: the process that evaluated it died, perhaps because memory ran out: close other programs, give "
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
        # Not raised here: the pool would only report that it is broken.
        _predictor = as_user_error(error)
        log_error(_log, _predictor, "the model cannot be loaded")


def _end_with_parent() -> None:
    """End this process when its parent ends: a parent that is killed cannot stop its children."""
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
