"""
The plan is the whole set of objects, in the order in which they are applied.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeldeploy_operator.manifests.plan import Ground, Kept, build_plan, complete, keep
from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.resource.traffic_spec import AlsoServed
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from testkit.objects import IMAGES, NOW, OWNER, a_spec

TESTDATA = Path(__file__).parent.parent / "testdata"
STEADY = Decision(memory=Memory(), state=State.STEADY, reason="Stable", message="")


def _kept(number: int, spec: ModelDeploymentSpec) -> Kept:
    revision = revisions.revision_of(spec, OWNER.name)
    data = {
        "version": revision.version,
        "ingredients": revisions.ingredients(spec, OWNER.name),
        "template": build_pod_template(OWNER, spec, revision, IMAGES),
    }
    return Kept(number, revision.version, data)


def _many(count: int) -> dict[str, Kept]:
    record = _kept(1, a_spec()).data
    return {f"r{n:02}": Kept(n, str(n), record) for n in range(1, count + 1)}


def _written(plan: tuple[dict[str, Any], ...]) -> list[tuple[str, str]]:
    return [(manifest["kind"], manifest["metadata"]["name"]) for manifest in plan]


def test_the_whole_plan_of_a_canary(request: pytest.FixtureRequest) -> None:
    """
    Everything that exists for a ModelDeployment in mid-canary, on one page; `--update-golden`.
    """
    common = {
        "replicas": 2,
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "traffic": {"router": {"replicas": 2, "resources": {"requests": {"cpu": "50m"}}}},
    }
    old, new = a_spec(1, **common), a_spec(2, **common)
    stable, canary = (revisions.revision_of(s, OWNER.name).revision for s in (old, new))
    decision = replace(
        STEADY,
        pools={stable: 2, canary: 1},
        routing=Routing({"a": stable, "b": canary}, stable, canary, 1_000),
        look_again_at=NOW,
    )
    kept = {stable: _kept(1, old), canary: _kept(2, new)}
    digests = {stable: f"sha256:{'0' * 64}"}
    plan = build_plan(decision, Ground(OWNER, new, IMAGES, kept, digests, 7))
    text = yaml.safe_dump_all(plan, sort_keys=False, width=100)
    path = TESTDATA / "canary-plan.yaml"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_routing_comes_before_pools() -> None:
    """
    Traffic leaves a pool before its pods do, so the routing is applied first.
    """
    kept = _many(1)
    decision = replace(STEADY, pools={"r01": 1}, routing=Routing({"a": "r01"}, "r01"))
    written = _written(build_plan(decision, Ground(OWNER, a_spec(), IMAGES, kept)))
    order = [name for kind, name in written if kind in ("ConfigMap", "Deployment")]
    assert order == ["mnist-routing", "mnist-r01", "mnist-router"]


def test_without_a_routing_configuration_none_is_written() -> None:
    """
    A decision that publishes nothing leaves the ConfigMap out.
    """
    written = _written(build_plan(STEADY, Ground(OWNER, a_spec(), IMAGES)))
    assert ("ConfigMap", "mnist-routing") not in written
    assert written[-1] == ("PodDisruptionBudget", "mnist-router")


def test_a_preview_leads_to_the_candidates_pods_alone() -> None:
    """
    Where there is a preview, a Service of its own selects the pods of its revision.
    """
    decision = replace(STEADY, pools={"r01": 1}, preview="r01")
    plan = build_plan(decision, Ground(OWNER, a_spec(), IMAGES, _many(1)))
    preview = next(m for m in plan if m["metadata"]["name"] == "mnist-preview")
    assert preview["kind"] == "Service"
    assert preview["spec"]["selector"] == OWNER.selector("server", "r01")
    assert [port["port"] for port in preview["spec"]["ports"]] == [8500, 8501]


def test_ten_revisions_are_kept() -> None:
    """
    Of more than ten, the ones in use and the newest of the others are kept.
    """
    decision = replace(STEADY, pools={"r01": 1})
    plan = build_plan(decision, Ground(OWNER, a_spec(), IMAGES, _many(12)))
    kept = {name for kind, name in _written(plan) if kind == "ControllerRevision"}
    assert kept == {"mnist-r01-1", *(f"mnist-r{n:02}-{n}" for n in range(4, 13))}


def test_a_record_is_made_anew_only_until_its_model_was_fetched() -> None:
    """
    A mended image reaches a revision that never ran, under another number, and no other revision.
    """
    spec = a_spec()
    revision = revisions.revision_of(spec, OWNER.name)
    old = {revision.revision: _kept(3, spec)}
    mended = {**old[revision.revision].data, "template": {"mended": True}}
    assert keep(old, revision, mended, digests={}) == {revision.revision: Kept(4, "1", mended)}
    assert keep(old, revision, mended, digests={revision.revision: "sha256:0"}) == old
    assert keep(old, revision, old[revision.revision].data, digests={}) == old


def test_the_wanted_revision_gets_a_record_once() -> None:
    """
    A plan is completed with the wanted revision's template, and a fetched one is left as it is.
    """
    spec, seen = a_spec(), Snapshot(generation=6)
    wanted = revisions.revision_of(spec, OWNER.name)
    routed = replace(STEADY, routing=Routing({"a": wanted.revision}, wanted.revision))
    first = complete(Ground(OWNER, spec, IMAGES), wanted, routed, seen)
    record = first.kept[wanted.revision]
    assert (record.number, record.version, first.generation) == (1, "1", 7)
    assert record.data["template"] == build_pod_template(OWNER, spec, wanted, IMAGES)
    newer = replace(IMAGES, runtime="images.example/runtime:2")
    fetched = replace(first, images=newer, digests={wanted.revision: "sha256:0"})
    assert complete(fetched, wanted, routed, seen).kept == first.kept


def test_each_standing_version_gets_a_record() -> None:
    """
    A version that is served for good has a template of its own, made once.
    """
    plain = a_spec()
    also = [AlsoServed(version=9, labels=["experiment"])]
    spec = plain.model_copy(update={"model": plain.model.model_copy(update={"also_serve": also})})
    wanted = revisions.revision_of(spec, OWNER.name)
    found = complete(Ground(OWNER, spec, IMAGES), wanted, STEADY, Snapshot()).kept
    ninth = revisions.revision_of(revisions.also_specs(spec)[0], OWNER.name)
    assert [(name, record.version) for name, record in found.items()] == [
        (wanted.revision, "1"), (ninth.revision, "9")
    ]  # fmt: skip
    fetcher = found[ninth.revision].data["template"]["spec"]["initContainers"][0]
    assert "--version=9" in fetcher["args"]


def test_an_operators_upgrade_changes_no_pod() -> None:
    """
    The kept template is used as it was rendered, whatever the operator's images are now.
    """
    kept = _many(1)
    newer = replace(IMAGES, runtime="images.example/runtime:2")
    plan = build_plan(replace(STEADY, pools={"r01": 1}), Ground(OWNER, a_spec(), newer, kept))
    [pool] = [m for m in plan if m["metadata"]["name"] == "mnist-r01" and m["kind"] == "Deployment"]
    assert pool["spec"]["template"] == kept["r01"].data["template"]


def test_everything_belongs_to_its_owner() -> None:
    """
    Every object is in the owner's namespace, refers to it, and carries its label.
    """
    plan = build_plan(replace(STEADY, pools={"r01": 1}), Ground(OWNER, a_spec(), IMAGES, _many(1)))
    for manifest in plan:
        metadata = manifest["metadata"]
        assert metadata["namespace"] == "vision"
        assert metadata["ownerReferences"] == [OWNER.reference()]
        assert metadata["labels"]["serving.modeldeploy.io/deployment"] == "mnist"


def test_routers_ask_for_tokens() -> None:
    """
    Only routers get the Secret of tokens, and only where the spec names one.
    """

    def routers(**traffic: Any) -> Any:
        plan = build_plan(STEADY, Ground(OWNER, a_spec(1, traffic=traffic), IMAGES))
        found = next(m for m in plan if m["kind"] == "Deployment")
        return found["spec"]["template"]["spec"]

    with_tokens = routers(auth={"tokensSecretName": "clients"})
    secret = {"secretName": "clients", "optional": True}
    assert {"name": "tokens", "secret": secret} in with_tokens["volumes"]
    router, keeper = with_tokens["containers"]
    mount = next(m for m in router["volumeMounts"] if m["name"] == "tokens")
    assert {"name": "MODELDEPLOY_TOKENS_DIR", "value": mount["mountPath"]} in router["env"]
    assert "tokens" not in json.dumps(keeper)
    assert "tokens" not in json.dumps(routers()).lower()


def test_routers_encrypt_where_the_spec_says_so() -> None:
    """
    They show the user's certificate, and of the pods' they get who signed it, and no key.
    """

    def plan(**traffic: Any) -> dict[tuple[str, str], Any]:
        spec = a_spec(1, traffic=traffic)
        revision = revisions.revision_of(spec, OWNER.name).revision
        kept = {revision: _kept(1, spec), "before": Kept(0, "0", {"template": {"spec": {}}})}
        routing = Routing({"a": revision, "b": "before"}, revision)
        decision = replace(STEADY, routing=routing)
        built = build_plan(decision, Ground(OWNER, spec, IMAGES, kept=kept))
        return {(m["kind"], m["metadata"]["name"]): m for m in built}

    encrypted, plain = plan(tls={"secretName": "public"}), plan()
    pod = encrypted["Deployment", "mnist-router"]["spec"]["template"]["spec"]
    secrets = {v["name"]: v["secret"] for v in pod["volumes"] if "secret" in v}
    assert secrets == {
        "tls": {"secretName": "public", "optional": True},
        "encryption": {
            "secretName": "mnist-encryption",
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        },
    }
    environment = {e["name"]: e["value"] for e in pod["containers"][0]["env"] if "value" in e}
    assert environment["MODELDEPLOY_TLS_DIR"] == "/etc/modeldeploy/tls"
    assert environment["MODELDEPLOY_UPSTREAM_CA_FILE"] == "/etc/modeldeploy/encryption/ca.crt"
    assert environment["MODELDEPLOY_UPSTREAM_HOST"] == "mnist.vision.svc"
    assert "tls" not in json.dumps(plain["Deployment", "mnist-router"])

    def slots(of: dict[tuple[str, str], Any]) -> dict[str, bool]:
        content = json.loads(of["ConfigMap", "mnist-routing"]["data"]["routing.json"])
        return {name: slot.get("tls", False) for name, slot in content["slots"].items()}

    assert slots(encrypted) == {"a": True, "b": False}
    assert slots(plain) == {"a": False, "b": False}
    ports = encrypted["Service", "mnist"]["spec"]["ports"]
    assert [port["appProtocol"] for port in ports] == ["https", "https"]


def test_a_lone_canary_holds_no_drain_up() -> None:
    """
    Every pool and the routers have a budget of one pod that may be away, whatever their size.
    """
    pools = {"r01": 4, "r02": 1}
    plan = build_plan(replace(STEADY, pools=pools), Ground(OWNER, a_spec(), IMAGES, _many(2)))
    budgets = {m["metadata"]["name"]: m for m in plan if m["kind"] == "PodDisruptionBudget"}
    assert set(budgets) == {"mnist-r01", "mnist-r02", "mnist-router"}
    deployments = {m["metadata"]["name"]: m for m in plan if m["kind"] == "Deployment"}
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]


def test_an_autoscaler_is_made_where_the_spec_asks_for_one() -> None:
    """
    Its target is the object itself, so that a promotion is nothing to it; 80 % of the CPU is usual.
    """
    spec = a_spec(autoscaling={"minReplicas": 2, "maxReplicas": 5})
    plan = build_plan(STEADY, Ground(OWNER, spec, IMAGES))
    [autoscaler] = [m for m in plan if m["kind"] == "HorizontalPodAutoscaler"]
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("ModelDeployment", "mnist")
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 5)
    [metric] = autoscaler["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}


def test_an_autoscaler_gets_the_metrics_that_are_written() -> None:
    """
    They are those of autoscaling/v2, and the API server judges them when they are applied.
    """
    queue = {"type": "External", "external": {"metric": {"name": "depth"}}}
    spec = a_spec(autoscaling={"maxReplicas": 5, "metrics": [queue]})
    plan = build_plan(STEADY, Ground(OWNER, spec, IMAGES))
    [autoscaler] = [m for m in plan if m["kind"] == "HorizontalPodAutoscaler"]
    assert autoscaler["spec"]["metrics"] == [queue]
