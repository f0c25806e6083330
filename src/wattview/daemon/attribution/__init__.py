"""Live attribution of power: intervals of all sources, the idle model, and the shares."""
