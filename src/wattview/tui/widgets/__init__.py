"""Widgets, one per file, each with its own style and keys."""
