"""Child processes of Slicer, driven by Qt: the inference process and jobs."""
