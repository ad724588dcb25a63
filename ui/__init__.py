"""The live-mix page in the browser. Nothing is here yet: it comes with the server."""
