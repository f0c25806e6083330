"""The managed RTMP server."""
