"""The ten Prometheus exporters, and the health checks of them."""
