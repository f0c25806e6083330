"""Power sources of the host: RAPL, hwmon, battery, and an estimate for machines that measure nothing."""
