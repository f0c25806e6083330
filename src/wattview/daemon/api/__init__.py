"""The control API: HTTP and JSON, a file for each subject."""
