"""The bytes on the wire (docs/protocol.md): frames, payloads and their parts. No I/O, and no state but that of a decoder."""
