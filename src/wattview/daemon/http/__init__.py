"""The daemon's HTTP servers: the ten exporters and the control API.

uvicorn and httptools implement HTTP. This package limits the resources of a peer (connections, headers, bodies, time,
unread answers), handles authentication, and keeps sockets and connections across a reload.
"""
