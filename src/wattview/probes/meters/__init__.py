"""Meters at the wall: one file a kind, entered in ``model.power.meters.METERS``.

A meter is read in a thread of its own, as often as suits it; whoever asks for the wall's power gets the last value and
waits for nobody. A meter that hangs, lies or has gone costs its own numbers only.
"""
