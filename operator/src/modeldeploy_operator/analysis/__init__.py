"""
The judgement of a canary from what was counted: checks, the tests behind them, their verdicts.

A pure room: it knows neither clocks nor clusters, and its tests hold however often one looks.
"""
