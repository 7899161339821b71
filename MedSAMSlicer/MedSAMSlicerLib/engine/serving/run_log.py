"""Logs the beginning and the end of a run."""

from __future__ import annotations

import time

from ..diagnostics.log import RUN_LOGGER, get_logger, log_error
from ..errors import Cancelled, MedSAMError, as_user_error
from ..i18n import tr as _
from ..model_choice import ModelChoice, RunInfo
from ..models.catalogue import known_model
from ..prompts import StackPrompt
from ..stack import SliceSource

_log = get_logger(RUN_LOGGER)


class RunLog:
    """Logs one run over a stack of slices. The caller calls `count`, and `finished` or `failed` at the end.

    In a ``with`` statement, an exception that leaves the block is logged as the failure of the run; one that is no
    `Exception`, such as KeyboardInterrupt, as its cancellation.

    Attributes:
        slices: the number of slices that have a result.

    Args:
        choice: the model to run.
        source: the stack.
        prompt: the prompt of the run.
    """

    def __init__(self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt) -> None:
        self._choice, self._begin = choice, time.monotonic()
        self.slices = 0
        self._first: float | None = None
        count, rows, columns = source.shape
        spacing = " x ".join(f"{length:.3g}" for length in source.spacing)
        self._stack = f"{count} slices of {rows} x {columns} pixels, spacing {spacing} mm"
        extent = "open" if prompt.slice_range is None else "slices {} to {}".format(*prompt.slice_range)
        _log.info(
            "run begins: %s on %s; key slices: %d; extent: %s", self._model, self._stack, len(prompt.slices), extent
        )

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception):
            self.failed(as_user_error(error))
        elif error is not None:
            self.failed(Cancelled(_("cancelled")))

    def count(self) -> None:
        """Count a slice that has a result now."""
        self.slices += 1
        if self._first is None:
            self._first = time.monotonic() - self._begin

    def finished(self, info: RunInfo) -> None:
        """Log that the run has ended with a result."""
        spent, loaded = info.timings, info.loaded
        what = self._model if loaded is None else f"{loaded.model} on {loaded.device} with {loaded.runtime}"
        first = "" if self._first is None else f", the first after {self._first:.2f} s"
        _log.info(
            "run finished: %s; %s; %d slices in %.2f s%s "
            "(load %.2f s; encoder %.2f s, %d calls; decoder %.2f s, %d calls)",
            what,
            self._stack,
            self.slices,
            time.monotonic() - self._begin,
            first,
            spent.load,
            spent.encode,
            spent.encoder_calls,
            spent.decode,
            spent.decoder_calls,
        )

    def failed(self, error: MedSAMError) -> None:
        """Log that the run has ended without a result, and why."""
        what = "cancelled" if isinstance(error, Cancelled) else "failed"
        seconds = time.monotonic() - self._begin
        _log.info("run %s: %s; %d slices in %.2f s", what, self._stack, self.slices, seconds)
        log_error(_log, error, "the run failed")

    @property
    def _model(self) -> str:
        """Key of the model. An unknown key is text that the user typed and is not logged."""
        return self._choice.model if known_model(self._choice.model) else "an unknown model"
