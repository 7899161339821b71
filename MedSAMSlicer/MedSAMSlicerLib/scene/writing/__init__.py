"""Writes results into segments: masked, undoable, all or nothing."""
