"""The WebSocket protocol and its sessions. Nothing is here yet: it comes with the live engine."""
