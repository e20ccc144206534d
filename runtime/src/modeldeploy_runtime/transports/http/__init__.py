"""An HTTP/1.1 server for one ASGI application, which bears little of its clients."""
