"""Markups ROIs as prompts."""
