"""Errors with messages for users, and the conversion of any exception into one of them.

A message is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from .i18n import tr as _

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    # cuBLAS and cuDNN report this when the allocation of their workspace fails before one of PyTorch does.
    "status_alloc_failed",
)


class MedSAMError(Exception):
    """Base class of all errors with a message for the user. ``str(error)`` is that message, in one line.

    Attributes:
        exit_status: exit status of the command line for this error.
    """

    exit_status = 1
    logged = False
    """Whether the log holds this error already."""

    @property
    def brief(self) -> str:
        """The message for users of Slicer."""
        return str(self)


class InputError(MedSAMError):
    """The image, the prompt or an option is not valid."""

    exit_status = 2


class MissingPackage(InputError):
    """What the user chose needs a Python package that is not installed.

    Args:
        message: for the command line.
        brief: what a user of Slicer can do.
    """

    def __init__(self, message: str, brief: str = "") -> None:
        super().__init__(message)
        self._brief = brief

    @property
    def brief(self) -> str:
        return self._brief or str(self)


class WeightsError(MedSAMError):
    """Model weights are missing, belong to another model, or do not match their checksum.

    Args:
        message: for the command line, with checksums and commands.
        brief: what a user of Slicer can do with the module's panel; empty: `message` says it.
    """

    exit_status = 3

    def __init__(self, message: str, brief: str = "") -> None:
        super().__init__(message)
        self._brief = brief

    @property
    def brief(self) -> str:
        return self._brief or str(self)


class WorkerError(MedSAMError):
    """The inference process died, did not respond, or sent an invalid response."""


class Cancelled(MedSAMError):
    """The user cancelled. Nothing was written."""

    exit_status = 130


def one_line(text: str, limit: int = 400) -> str:
    """Replace every run of white space by one blank and cut the text to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def shown(value: object) -> str:
    """A value in the text of an error: on one line, also if it is an array, and not too long."""
    return one_line(repr(value), 80)


def as_user_error(error: BaseException) -> MedSAMError:
    """Convert an exception into an error with a message for the user.

    Returns:
        `error` itself if it is a `MedSAMError`; otherwise a `WorkerError` with `error` as its cause.
    """
    if isinstance(error, MedSAMError):
        return error
    if is_out_of_memory(error):
        found = WorkerError(
            _("inference ran out of memory: close other programs, choose a smaller model, or choose the device cpu")
        )
    elif isinstance(error, ImportError):
        found = WorkerError(
            _(
                "the Python package {package!r} cannot be imported: "
                "install the packages that MedSAMSlicer requires, then try again"
            ).format(package=error.name or one_line(str(error), 200))
        )
    else:
        found = WorkerError(
            _("inference failed unexpectedly ({kind}: {error}): try again, or report it with the log").format(
                kind=type(error).__name__, error=one_line(str(error), 200)
            )
        )
    found.__cause__ = error
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an allocation failed, on any device.

    Exceptions are recognised by the name of their class and by their message, so that torch is not imported.
    """
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)
