"""Sources of the grid's carbon intensity and price: one file a kind, entered in ``model.power.grid.GRIDS``.

None is asked unless the settings name it. A source gives spans of time with a value each; it keeps nothing, and writes
nothing.
"""
