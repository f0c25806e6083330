"""Plots of characters: braille graphs and bars."""
