"""Propagation of prompts from slice to slice through a stack."""
