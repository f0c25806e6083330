"""The daemon's own HTTP servers: the ten exporters' and the control API's.

uvicorn and httptools do the HTTP. What stands here bounds what a peer may cost (connections, headers, bodies, time,
answers that nobody reads), says who may ask, and keeps sockets and connections over a reload.
"""
