"""
A pure room: values in, values out.

Nothing here may import asyncio, logging, socket, ssl, subprocess, threading, time or anything of
`shell`.
"""
