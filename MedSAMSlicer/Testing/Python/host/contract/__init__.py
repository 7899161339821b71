"""Holds product code against what Slicer offers: every name it uses is looked up, without running it."""

from .checker import TOP, check_source
from .findings import Findings, own_names

__all__ = ["TOP", "Findings", "check_source", "own_names"]
