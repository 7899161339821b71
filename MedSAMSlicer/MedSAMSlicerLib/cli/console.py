"""What the command line prints: lines on standard output, one line on standard error when something is wrong."""

from __future__ import annotations

import io
import os
import sys

from ..engine.errors import InputError, MedSAMError


def prepare_output() -> None:
    """Let file names that the terminal's encoding lacks be printed: they must not end a run whose work is done."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print on standard output, now and not when Python exits, so that it is known whether it got there.

    Where the reader has gone (for example `| head`) nothing is said any more: it has seen what it wanted.

    Raises:
        InputError: standard output cannot be written, for example because its disk is full.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        raise InputError(f"standard output cannot be written ({error.strerror}): send it elsewhere") from error


def complain(error: MedSAMError) -> None:
    """Print the error on standard error, as one line."""
    # File names may hold line breaks; other blanks in them are left as they are.
    line = " ".join(part.strip() for part in str(error).splitlines())
    print(f"medsam-slicer: {line}", file=sys.stderr)


def _silence() -> None:
    # Python flushes standard output once more when it exits; that must not fail again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
