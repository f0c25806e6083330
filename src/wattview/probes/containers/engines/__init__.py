"""Engines beside the one at ``docker.host``."""
