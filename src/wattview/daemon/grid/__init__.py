"""The grid's carbon intensity and price: fetched in the background, stored on disk."""
