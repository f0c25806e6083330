"""Runs from the dashboard: the launch form, recordings, aborting."""
