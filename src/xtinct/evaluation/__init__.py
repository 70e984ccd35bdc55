"""Evaluation: what models and observers score on the test sets, one record each."""
