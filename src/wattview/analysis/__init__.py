"""Analysis of readings, windows and prices: pure functions. No I/O, no clock, no HTTP.

``windows`` computes energy, power and CPU time from samples; ``results`` combines them with ``pricing``, ``qoe`` and
``efficiency`` into a scenario's figures; ``sweeps`` compares scenarios and advises; ``attribution`` divides power among
containers, encoders and streams.
"""
