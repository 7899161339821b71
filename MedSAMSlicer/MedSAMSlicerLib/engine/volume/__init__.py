"""Prompts and boxes in the voxels of a volume: affine geometry, oriented boxes, boxes of voxels."""
