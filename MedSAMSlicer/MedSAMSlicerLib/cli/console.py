"""Output of the command line: lines on standard output, one line on standard error for an error."""

from __future__ import annotations

import io
import os
import sys

from ..engine.errors import InputError, MedSAMError


def prepare_output() -> None:
    """Print characters that the terminal's encoding lacks as escapes: a file name must not end a finished run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_line(text: str) -> None:
    """Print a line on standard output and flush it, so that a failure is noticed here and not when Python exits.

    Nothing is printed any more once the reader, for example `head`, has closed the pipe.

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


def print_error(error: MedSAMError) -> None:
    """Print an error on standard error, in one line."""
    # File names may contain line breaks; other blanks in them stay as they are.
    line = " ".join(part.strip() for part in str(error).splitlines())
    print(f"medsam-slicer: {line}", file=sys.stderr)


def _silence() -> None:
    # Python flushes standard output again when it exits; that must not fail a second time.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
