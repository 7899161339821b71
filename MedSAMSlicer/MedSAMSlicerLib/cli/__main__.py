"""Runs the command line: ``python -m MedSAMSlicerLib.cli``."""

import sys

from .main import main

sys.exit(main())
