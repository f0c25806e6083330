"""WattView: power, cost, carbon and quality of live video on this machine."""

__version__ = "0.1.0"
