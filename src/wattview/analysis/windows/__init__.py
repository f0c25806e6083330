"""Energy, power and CPU time of a span of time, and remarks on the quality of these figures."""
