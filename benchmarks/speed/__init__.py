"""Parts of `bench_speed.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Measure this copy of the package, even if another one is installed.
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "MedSAMSlicer"), str(ROOT / "MedSAMSlicer" / "Testing" / "Python")]
