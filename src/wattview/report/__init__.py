"""Results as files for people and other programs: HTML with SVG plots, and tables."""
