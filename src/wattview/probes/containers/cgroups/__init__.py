"""Control groups, v1 and v2: where they are, their files, and what these mean."""
