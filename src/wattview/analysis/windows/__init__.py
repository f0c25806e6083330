"""Energy, power and CPU time of a span of time, and remarks on how good these figures are."""
