"""Who used the power: idle power, and the shares of what is above it."""
