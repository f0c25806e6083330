"""Idle power, and attribution of the power above it."""
