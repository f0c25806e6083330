"""Live attribution of power: intervals over all sources, the idle model, and the shares."""
