"""
What a pod has compared with another version: a pure module.

The counts belong to the target that the pod was given, and begin anew with another one.
"""

from prometheus_client.parser import text_string_to_metric_families

from modeldeploy_operator.evidence.counters import LARGEST, STARTED, Counters, Instance

PREFIX = "modeldeploy_shadow_"
_COUNTERS = {
    f"{PREFIX}compared_total": "mirrored",
    f"{PREFIX}mismatched_total": "drifted",
    f"{PREFIX}skipped_total": "skipped",
    f"{PREFIX}values_total": "values",
    f"{PREFIX}difference_total": "total",
    f"{PREFIX}largest_difference": LARGEST,
    f"{PREFIX}rows_total": "rows",
    f"{PREFIX}flips_total": "flips",
}
_SIDES = {"here": "here", "target": "there"}
NAMES = (*_COUNTERS.values(), *_SIDES.values())


def of_pod(pod: str, text: str) -> dict[Instance, Counters]:
    """
    Read what a pod has compared; nothing of one that never had a target.

    Args:
        pod: The pod's name.
        text: Its metrics as Prometheus reads them.

    Returns:
        The counters by the target's name, which stands where a revision does.

    """
    lines = (line for line in text.splitlines() if line.startswith((PREFIX, STARTED)))
    process, begun, target = "", "", ""
    counts: dict[str, float] = dict.fromkeys(NAMES, 0.0)
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                labels, value = sample.labels, sample.value
                target = labels.get("target", target)
                if sample.name == STARTED:
                    process = str(value)
                elif sample.name == f"{PREFIX}started_seconds":
                    begun = str(value)
                elif sample.name == f"{PREFIX}duration_seconds_sum":
                    counts[_SIDES[labels["side"]]] += value
                elif sample.name in _COUNTERS:
                    counts[_COUNTERS[sample.name]] += value
    except (ValueError, KeyError):
        return {}
    return {Instance(pod, f"{process}/{begun}", target): counts} if process and begun else {}
