"""How bytes travel: TCP, TLS, Unix sockets and WebSockets, on asyncio (docs/transports.md)."""
