"""Images and segmentations in files outside Slicer (SimpleITK)."""
