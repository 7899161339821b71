"""Downloads, imports and verifies weights in a process of its own, which reads gigabytes while nobody waits.

    python -m MedSAMSlicerLib.engine.jobs.weights_job download KEY [--package REQUIREMENT]
    python -m MedSAMSlicerLib.engine.jobs.weights_job import FILE --as KEY [--own]
    python -m MedSAMSlicerLib.engine.jobs.weights_job verify KEY...

Lines, besides those of `engine.jobs.job`: ``progress`` with bytes ``done`` and ``total`` (0: unknown); ``verified`` with
``model``, ``path``, ``sha256``; ``wrong`` with ``model``, ``path``, ``message``; ``missing`` with ``model``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..environment import weights_folders
from ..errors import WeightsError
from ..log import get_logger, log_error
from ..models.catalogue import ModelSpec, find_model
from ..models.weights import download_weights, find_weights, import_weights, verify_weights
from ..models.wheel import download_from_package
from .job import Say, add_attached, run_task

_log = get_logger("MedSAMSlicerLib.engine.jobs.weights_job")
_SECONDS_BETWEEN_LINES = 0.1
_STALE_SECONDS = 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the tasks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_attached(parser)
    actions = parser.add_subparsers(dest="action", required=True)
    downloading = actions.add_parser("download")
    downloading.add_argument("key", metavar="KEY")
    downloading.add_argument("--package", metavar="REQUIREMENT", help="the Python package that carries the file")
    importing = actions.add_parser("import")
    importing.add_argument("file", metavar="FILE", type=Path)
    importing.add_argument("--as", dest="key", metavar="KEY", required=True)
    importing.add_argument("--own", action="store_true")
    actions.add_parser("verify").add_argument("keys", metavar="KEY", nargs="+")
    options = parser.parse_args(arguments)

    def work(say: Say) -> None:
        if options.action == "download":
            download(find_model(options.key), options.package, say)
        elif options.action == "import":
            bring(find_model(options.key), options.file, options.own, say)
        else:
            for key in options.keys:
                verify(find_model(key), say)

    return run_task(work, options.attached)


def download(spec: ModelSpec, package: str | None, say: Say) -> None:
    """Download and verify, with progress; from a Python package if one is named. Raises WeightsError."""
    remove_stale_parts()
    last = 0.0

    def progress(done: int, total: int) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = now
            say("progress", done=done, total=total)
        return True

    path = download_from_package(spec, package, progress) if package else download_weights(spec, progress)
    _say_verified(spec, path, say)


def bring(spec: ModelSpec, source: Path, own: bool, say: Say) -> None:
    """Import a file that the user has. Raises WeightsError."""
    remove_stale_parts()
    _say_verified(spec, import_weights(spec, source, own), say)


def verify(spec: ModelSpec, say: Say) -> None:
    """Compute the checksum of the model's weights and say what it shows."""
    try:
        path = find_weights(spec)
    except WeightsError:
        say("missing", model=spec.key)
        return
    try:
        _say_verified(spec, path, say)
    except WeightsError as error:
        log_error(_log, error, "weights of %s were refused", spec.key)
        say("wrong", model=spec.key, path=str(path), message=str(error))


def remove_stale_parts() -> None:
    """Remove what a download left that was killed. One that is under way has just been written to, and stays."""
    for part in weights_folders()[-1].glob("*.part"):
        try:
            written = max(path.stat().st_mtime for path in (part, *part.rglob("*")))
            if time.time() - written > _STALE_SECONDS:
                shutil.rmtree(part) if part.is_dir() else part.unlink()
        except FileNotFoundError:
            continue  # its owner was faster


def _say_verified(spec: ModelSpec, path: Path, say: Say) -> None:
    say("verified", model=spec.key, path=str(path), sha256=verify_weights(spec, path))


if __name__ == "__main__":
    sys.exit(main())
