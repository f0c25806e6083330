"""Which process of this machine pushes each live stream: by its socket, its command line, or its traffic."""
