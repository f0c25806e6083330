"""Comparison of settings: repeats, confidence intervals, BD-rate, advice, prediction, the gate."""
