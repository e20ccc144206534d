"""Transports translate and delegate: REST and gRPC ask the same functions of ``inference``."""
