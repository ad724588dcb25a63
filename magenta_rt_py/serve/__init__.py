"""Server of the live-mix page and of programs: seats, one device for all, the WebSocket protocol (docs/live-protocol.md)."""
