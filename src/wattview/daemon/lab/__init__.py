"""The scenario lab: scenarios are validated, run through FFmpeg, monitored, scored for quality and recorded.

``runner.Runner`` is the entry point. The lab starts encoders and players and marks the history through callbacks; it
knows neither the control API nor the exporters.
"""
