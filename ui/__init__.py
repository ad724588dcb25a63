"""The live-mix page: Gradio around a deck of its own, whose sound comes over a WebSocket (docs/live-mix.md)."""
