"""Many hosts at a glance."""
