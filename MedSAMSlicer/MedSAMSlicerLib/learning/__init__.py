"""Adaptation of a model's decoder to contours that a department has drawn."""
