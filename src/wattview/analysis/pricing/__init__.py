"""Money and carbon: prices, tariffs, and the cost of an hour or a window."""
