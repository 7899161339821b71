"""From whatever was raised to the one line that a user reads."""

from __future__ import annotations

from .errors import MedSAMError, WorkerError
from .i18n import tr as _

_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    # What cuBLAS and cuDNN say of their workspaces, when PyTorch has not noticed first.
    "status_alloc_failed",
)


def one_line(text: str, limit: int = 400) -> str:
    """The text with every run of white space made one blank, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def as_user_error(error: BaseException) -> MedSAMError:
    """The error itself if a user can read it, else a `WorkerError` that says what happened, caused by it."""
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
            _(
                "inference failed unexpectedly ({kind}: {error}): "
                "try again, and report it with the log if it comes back"
            ).format(kind=type(error).__name__, error=one_line(str(error), 200))
        )
    found.__cause__ = error
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of whatever device, was not enough. Told by name and text, so that torch need not be imported to ask."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _NO_MEMORY)
