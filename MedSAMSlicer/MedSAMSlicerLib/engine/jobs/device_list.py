"""Which devices are there: ``python -m MedSAMSlicerLib.engine.jobs.device_list``, because asking means importing torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .job import Say, add_attached, run_task


def main(arguments: Sequence[str] | None = None) -> int:
    """Say the devices, the fastest first, in a line of kind ``devices``; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    add_attached(parser)
    options = parser.parse_args(arguments)
    return run_task(_list, options.attached)


def _list(say: Say) -> None:
    from ..runtimes.devices import available_devices

    say("devices", devices=available_devices())


if __name__ == "__main__":
    sys.exit(main())
