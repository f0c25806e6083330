"""Power meters of the host: RAPL, hwmon, battery, and an estimate where nothing measures."""
