"""Time travel in the dashboard: playback, trends, and power over a range."""
