"""How many computing threads there are, and how they behave beside other programs."""

from __future__ import annotations

import os

from .errors import InputError
from .i18n import tr as _

THREADS_VARIABLE = "MEDSAM_SLICER_THREADS"


def share_processor() -> None:
    """Have idle computing threads sleep instead of spinning, unless the user's environment says otherwise.

    OpenMP reads this once, when torch is loaded: call it before. Where other programs want the cores too, spinning
    threads take time from the very ones that they wait for: one LiteMedSAM encoding on two contended cores took 12.1 s
    (median of 8) with spinning and 6.4 s without.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def leave_one_core() -> None:
    """Keep one core free for the user interface, unless the user's environment says otherwise."""
    os.environ.setdefault(THREADS_VARIABLE, str(max(1, _cores() - 1)))


def computing_threads() -> int:
    """Threads to compute with: ``$MEDSAM_SLICER_THREADS``, or one for each core that this process may use.

    Raises:
        InputError: the variable does not hold a whole number above 0.
    """
    text = os.environ.get(THREADS_VARIABLE, "") or str(_cores())
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InputError(
            _("${variable} is {text!r}: set it to a whole number above 0, or to nothing").format(
                variable=THREADS_VARIABLE, text=text
            )
        )
    return int(text)


def _cores() -> int:
    # Not os.cpu_count(): a container or a job scheduler may have given this process fewer.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
