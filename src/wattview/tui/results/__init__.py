"""Results in the dashboard: the table, its details, comparison, curves, advice and prediction."""
