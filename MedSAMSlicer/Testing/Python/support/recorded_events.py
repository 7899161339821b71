"""The log's memory for 'Copy details', which outlives a test."""

from __future__ import annotations

import logging


def forget_events() -> None:
    """Have the next call of `record_events` begin with nothing recorded."""
    root = logging.getLogger("MedSAMSlicer")
    for handler in [handler for handler in root.handlers if handler.get_name() == "MedSAMSlicer recent events"]:
        root.removeHandler(handler)
