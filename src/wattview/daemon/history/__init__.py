"""Past values, from the embedded SQLite file or a Prometheus-compatible store, and snapshots made from them."""
