"""
The wire by which stable's pods are told whom to ask, and tell what they compared.
"""

import base64

import pytest

from modeldeploy_operator.analysis.checks import Check
from modeldeploy_operator.analysis.kinds import Shadow
from modeldeploy_operator.evidence import shadows
from modeldeploy_operator.evidence.counters import target_name
from modeldeploy_operator.manifests import names, shadow
from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.rollout.memory import Revision
from modeldeploy_runtime import settings as runtime_settings
from modeldeploy_runtime.shadow import counts, target
from modeldeploy_runtime.shadow.counts import Counts
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.tensors.comparing import Comparison
from testkit.objects import IMAGES, OWNER, a_spec

CANARY = "5f6a7b8c9d"


@pytest.mark.parametrize("authority", ["", "-----BEGIN CERTIFICATE-----"])
@pytest.mark.parametrize("percent", [0.01, 10, 100])
def test_a_server_takes_the_target_and_tells_the_same(percent: float, authority: str) -> None:
    """
    So that the operator sees at its next look that nothing is to be done.
    """
    what = Shadow(percent, 0.001, 0.01)
    name = target_name(CANARY, Check("drift", what))
    told = shadow.build_target(OWNER, "mnist", CANARY, (what, name), authority)
    assert target.read(told).as_json() == told


def test_the_operator_reads_what_a_server_has_compared() -> None:
    """
    Every count arrives under the target's name.
    """
    name = target_name(CANARY, Check("drift", Shadow(10, 0.001, 0.01)))
    counted, metrics = Counts(name), Metrics(lambda: ())
    metrics.add_source(counted.read)
    counted.compare(Comparison("", 0.25, 0.5, 10, 0, 2), 0.5, 0.75)
    counted.compare(Comparison("the output y is 3", 2.0, 2.5, 10, 1, 2), 0.5, 0.75)
    counted.refuse("INVALID_ARGUMENT")
    for reason in counts.SKIPPED:
        counted.skip(reason)
    ((instance, found),) = shadows.of_pod("pod", metrics.expose().decode()).items()
    assert (instance.pod, instance.revision) == ("pod", name)
    assert found == {
        "mirrored": 3,
        "drifted": 2,
        "skipped": len(counts.SKIPPED),
        "values": 20,
        "total": 3.0,
        "largest": 2.0,
        "rows": 4,
        "flips": 1,
        "here": 1.0,
        "there": 1.5,
    }


def test_a_server_finds_its_secret_where_the_operator_puts_it() -> None:
    """
    The flags name the port that is asked and the file that is mounted.
    """
    template = build_pod_template(OWNER, a_spec(), Revision("0a1b2c3d4e", "1"), IMAGES)
    (server,) = template["spec"]["containers"]
    settings = runtime_settings.parse(server["args"], {})
    assert settings.control_port == names.CONTROL_PORT
    (mount,) = [m for m in server["volumeMounts"] if m["name"] == "control"]
    (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "control"]
    secret = shadow.build_secret(OWNER, "t0ken")
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    ((key, value),) = secret["data"].items()
    assert str(settings.control_token_file) == f"{mount['mountPath']}/{key}"
    assert base64.b64decode(value) == b"t0ken"
