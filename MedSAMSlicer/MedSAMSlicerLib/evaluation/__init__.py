"""Evaluation of models on cases with known truth, for example to commission the tool in a department."""
