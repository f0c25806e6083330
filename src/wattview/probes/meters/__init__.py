"""Meters at the wall: one file per kind, listed in ``model.power.meters.METERS``.

A meter is read in its own thread at a suitable rate; readers of the wall's power get the last value and never wait. A
meter that hangs, lies or is gone costs its own numbers only.
"""
