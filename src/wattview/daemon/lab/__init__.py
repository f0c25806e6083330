"""The scenario lab: scenarios are checked, run through FFmpeg, watched, judged for quality and written down.

``runner.Runner`` is the way in. What lives here may start encoders and players, marks the history through what it is
given, and knows neither the control API nor the exporters.
"""
