"""Control groups, v1 and v2: location, files and parsers."""
