"""The control API: HTTP and JSON, one file per subject."""
