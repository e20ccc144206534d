"""
Request logging: a sample of what clients asked and were answered, as TFRecords of PredictionLogs.

A file of such records can be laid into a version's folder as its warm-up requests, as it is.
Nothing here may slow a request: whoever answers one hands over references and goes on, and what
does not fit into a bounded queue is dropped and counted.
"""
