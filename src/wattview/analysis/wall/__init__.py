"""Power at the wall from counters inside the machine: a model that is fitted while a meter is there."""
