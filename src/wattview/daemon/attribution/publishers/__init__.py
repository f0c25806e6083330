"""The process of this machine that publishes each live stream: by its socket, its command line, or its traffic."""
