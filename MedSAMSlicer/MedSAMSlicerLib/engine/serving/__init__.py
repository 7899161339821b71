"""Runs the engine in the inference process and exchanges messages with it."""
