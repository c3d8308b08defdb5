"""What runs a session on asyncio: bytes, time, those who wait for answers, and handlers."""
