"""
What the users were promised, row by row, as far as tests show it today.

A test that shows a row carries `@pytest.mark.requirement("row-N")`, and only such a test: it would
fail if the promise were broken. A row without a test is not in the table yet.
"""

ROWS = {
    "row-1": "A SavedModel answers stock clients: predict, metadata and status, REST and gRPC.",
    "row-2": "half_plus_two answers the README's first request.",
    "row-3": "The image classifier's client prints the error rate of the offline evaluation.",
    "row-4": "A BERT-like encoder with three integer inputs gives its reference's embeddings.",
    "row-5": "Several versions are served at once, and the newest answers where none is named.",
    "row-6": "A version may have any name, and clients of all kinds can ask for it.",
    "row-7": "Each version tells its state and its error.",
    "row-8": "A new version is found, takes over, and the old one is drained: no request fails.",
    "row-9": "All, the latest, or named versions are served, as a policy says.",
    "row-10": "A package adds a source or a loader by registering it.",
    "row-14": "Traffic moves between versions by percentages, step by step, and back.",
    "row-15": "Requests are balanced over instances, whose number is set by hand or by load.",
    "row-16": "Latency, throughput and errors are metrics, by model and version.",
    "row-17": "It runs alone, in a container and in Kubernetes.",
    "row-18": "A version whose interface would break the clients of another is told apart.",
}
"""Row to the sentence that its tests prove."""
