"""Settings held against each other: repeats, confidence, comparison, BD-rate, advice, prediction."""
