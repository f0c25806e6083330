"""Screens: one a file. A screen shows the picture that it is given and keeps no clock and no line of its own."""
