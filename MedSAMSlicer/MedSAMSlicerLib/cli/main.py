"""The command ``medsam-slicer``: composes its subcommands, each of which is a file with arguments of its own."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn

from .. import __version__
from ..engine.diagnostics.log import get_logger, log_error
from ..engine.environment import return_memory, share_processor
from ..engine.errors import Cancelled, InputError, MedSAMError, as_user_error
from .console import prepare_output, print_error, print_line
from .log_options import logging_to

DEBUG_VARIABLE = "MEDSAM_SLICER_DEBUG"
COMMANDS = {
    "segment": "one object in one image",
    "export": "segments as RTSTRUCT, DICOM SEG and structured report",
    "margin": "a target volume around a segment",
    "measure": "volume, diameters, surface and image values of segments",
    "compare": "two segmentations of a patient; response by RECIST 1.1",
    "evaluate": "agreement with the truth on a table of cases",
    "adapt": "a model that has learned from the contours of a table of cases",
    "models": "which models are there; import, verify, download or measure them",
}
# Options whose one value may begin with a minus sign, which argparse would take for an option.
_MAY_BE_NEGATIVE = ("--window", "--key", "--point")
_INPUTS = ("image", "roi", "mask", "weights", "cases", "file")
"""Options of the subcommands that name files to read."""
_log = get_logger(__name__)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error of the command does."""

    def __init__(self, **options: Any) -> None:
        # A script that abbreviates an option would break when a longer option with the same beginning comes.
        super().__init__(**{"allow_abbrev": False, **options})

    def print_help(self, file: object = None) -> None:
        """Print it as everything else is printed; `file` is there for argparse."""
        print_line(self.format_help().rstrip())

    def parse_known_args(self, *arguments: Any, **options: Any) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        """As argparse's, but what is unknown is refused here: only this parser knows whose help tells more."""
        found, unknown = super().parse_known_args(*arguments, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see '{self.prog} --help'")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        command: the subcommand whose arguments are needed; those of the others are not added.
    """
    parser = _Parser(
        prog="medsam-slicer",
        description="Contours tumours and organs in volumes with MedSAM.",
        epilog="Exit status: 0; 2 wrong input; 3 weights missing or not matching their checksum; 130 interrupted; "
        f"1 anything else. ${DEBUG_VARIABLE}=1 does what --verbose does.",
    )
    parser.set_defaults(verbose=False, log=None)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary)
        if name == command:
            module = _module_of(name)
            subparser.description = module.DESCRIPTION
            module.add_arguments(subparser)
    return parser


def _module_of(command: str) -> ModuleType:
    """The file of a subcommand, which imports the heavy packages that it needs."""
    return importlib.import_module(f".{command}", __package__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0; 2 wrong input; 3 weights; 130 interrupted; 1 anything else."""
    prepare_output()
    share_processor()
    return_memory()
    failure: MedSAMError | None = None
    with _interrupted_once():
        try:
            given = _with_negative_values(sys.argv[1:] if arguments is None else arguments)
            named = next((argument for argument in given if argument in COMMANDS), None)
            options = build_parser(named).parse_args(given)
            with _logged(options):
                _module_of(options.command).run(options)
        except KeyboardInterrupt:
            failure = Cancelled("interrupted; nothing was written")
        except Exception as error:
            failure = as_user_error(error)
    if failure is None:
        return 0
    print_error(failure)
    return failure.exit_status


@contextmanager
def _logged(options: argparse.Namespace) -> Iterator[None]:
    """Log what happens within, as the options say. Raises InputError if the log cannot be written."""
    options.verbose = options.verbose or bool(os.environ.get(DEBUG_VARIABLE))
    inputs = [getattr(options, name, None) for name in _INPUTS]
    with logging_to(options.verbose, options.log, inputs):
        _log.info("command %s begins", options.command)
        begin = time.monotonic()
        try:
            yield
        except Exception as error:
            log_error(_log, as_user_error(error), "command %s failed", options.command)
            raise
        finally:
            _log.info("command %s ended after %.2f s", options.command, time.monotonic() - begin)


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """``--window -600,1500`` as ``--window=-600,1500``."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in _MAY_BE_NEGATIVE and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first Ctrl-C ends the run; further ones do not disturb the cleaning up, nor Python while it exits."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def interrupt(*_: object) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
