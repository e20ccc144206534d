"""
Many small requests become few large calls of a model.

``parameters``, ``batch_queue``, ``rotation`` and ``merging`` compute with values and know neither
threads nor the clock; ``scheduler`` owns the threads, and ``model`` dresses a loaded model in all
of it, so that those who call its signatures need not know.
"""
