"""Past moments in the dashboard: playback, trends, and power over a range."""
