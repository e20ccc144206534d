"""
Warms versions up before they take traffic, as a model's first calls are slow.

Recorded requests in ``assets.extra/tf_serving_warmup_requests`` are replayed; where there are none
and somebody asks for it, inputs are made up from the signatures.
"""
