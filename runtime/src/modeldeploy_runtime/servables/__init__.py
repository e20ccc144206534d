"""
The words of the runtime: ids, states, errors.

A pure room: it imports nothing but the standard library, and knows neither HTTP nor gRPC nor any
framework that executes models.
"""
