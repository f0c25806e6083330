"""What the numbers mean: pure functions of readings, windows and prices. No I/O, no clock, no HTTP.

``energy`` reads counters and gauges; ``series`` and ``host`` find the host's figures in what a history holds;
``results`` makes a scenario's figures of them with ``cost``, ``tariff``, ``qoe`` and ``efficiency``; ``compare``,
``confidence``, ``curves``, ``fit`` and ``advice`` judge several scenarios; ``attribution`` and ``idle`` say who used
the power; ``metrics``, ``attribution_metrics`` and ``report`` show it.
"""
