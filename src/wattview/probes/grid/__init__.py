"""Sources of the grid's carbon intensity and price: one file per kind, listed in ``model.power.grid.GRIDS``.

None is queried unless it is configured. A source returns spans of time with a value each; it stores nothing.
"""
