"""Power at the wall from the machine's own counters: a model that is fitted while a meter is present."""
