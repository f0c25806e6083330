"""Results as files: HTML with SVG plots, and tables."""
