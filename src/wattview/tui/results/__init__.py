"""Results in the dashboard: table, details, comparison, curves, advice and prediction."""
