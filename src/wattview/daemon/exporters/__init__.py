"""The ten Prometheus exporters, and their health checks."""
