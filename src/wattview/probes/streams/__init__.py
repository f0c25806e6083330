"""RTMP servers and their live streams: nginx-rtmp, MediaMTX, SRS."""
