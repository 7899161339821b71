"""How a result is combined with what the segment already holds."""

from __future__ import annotations

from typing import Literal

Mode = Literal["add", "replace", "remove"]
"""Add the result to the segment, replace the segment by it, or remove it from the segment."""

MODES: tuple[Mode, ...] = ("add", "replace", "remove")
