"""The control port: what a person or a program may ask of a running server."""
