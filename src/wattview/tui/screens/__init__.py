"""Screens, one per file. A screen renders the picture that it is given and has no clock or connection of its own."""
