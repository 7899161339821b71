"""The parts of `bench_speed.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What is measured is what lies here, whatever is installed.
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "MedSAMSlicer")]
