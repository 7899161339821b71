"""Overlays of slice views: masks, rectangles and points."""
