"""Money and carbon: prices, tariffs, and what an hour or a window costs."""
