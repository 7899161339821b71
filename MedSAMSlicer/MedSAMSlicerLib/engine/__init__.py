"""Segmentation engine: slices and prompts in, masks out. Independent of Slicer, VTK, Qt and image files."""
