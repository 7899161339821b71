"""Slices and prompts in, masks out. Knows nothing of Slicer, VTK, Qt or image files."""
