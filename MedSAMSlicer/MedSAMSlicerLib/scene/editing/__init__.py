"""Interactive segmentation: mouse tools, previews, runs."""
