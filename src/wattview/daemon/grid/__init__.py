"""The grid's carbon intensity and price as the daemon knows them: asked for in the background, kept on disk."""
