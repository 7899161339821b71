"""Predicts masks on slices: each slice is encoded once, however many prompts follow."""
