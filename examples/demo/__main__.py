"""
The main job, from nothing to a promoted canary: run it with `make demo`.

It brings a cluster up, builds the images, trains two versions of a digit classifier, puts them into
an S3 store in the cluster, installs the chart, deploys version 1, asks it, and then deploys
version 2 while clients count which version answers them.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from clients import Clients
from rollout import Step, follow

import cluster
from cluster import DemoError, kubectl, say

ROOT = Path(__file__).parents[2]
NAME, MANIFEST = "mnist", ROOT / "examples/digits/modeldeployment.yaml"
REST, GRPC, S3 = 18501, 18500, 17070


def main() -> None:
    """
    Tell the story, and end with a table and an exit status.
    """
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            failed = _story(Path(folder), stack)
    except DemoError as error:
        sys.exit(f"The demo stopped: {error}")
    say(f"The demo took {time.monotonic() - started:.0f} s.")
    sys.exit(1 if failed else 0)


def _story(folder: Path, stack: contextlib.ExitStack) -> int:
    cluster.up()
    images = cluster.images()
    _train(folder)
    cluster.install(images)
    # A demo before this one knows other contents under the same versions, and would refuse these.
    kubectl("delete", "modeldeployment", NAME, "--ignore-not-found", "--wait", "--timeout=60s")
    stack.enter_context(_store(images, folder))
    say("Applying examples/digits/modeldeployment.yaml, which asks for version 1.")
    kubectl("apply", "-f", str(MANIFEST))
    follow(NAME, until_version="1")
    forward = cluster.forward(f"service/{NAME}", f"{REST}:8501", f"{GRPC}:8500")
    stack.enter_context(forward)
    _ask()
    say("Asking for version 2 while four clients go on asking. The canary takes its steps:")
    with Clients(f"127.0.0.1:{REST}", f"127.0.0.1:{GRPC}", NAME) as clients:
        patch = '{"spec":{"model":{"version":2}}}'
        kubectl("patch", "modeldeployment", NAME, "--type=merge", f"--patch={patch}")
        steps = follow(NAME, until_version="2", clients=clients)
    _table(steps)
    for failure in clients.failures[:5]:
        print(f"  {failure}")
    print(f"\nFailed requests: {len(clients.failures)}")
    _by_hand()
    return len(clients.failures)


def _train(folder: Path) -> None:
    say("Training two versions of a digit classifier on scikit-learn's digits.")
    for version in ("1", "2"):
        program = str(ROOT / "examples/digits/train_digits.py")
        out = cluster.python(program, f"--model_version={version}", str(folder / NAME))
        rate = next(line for line in out.splitlines() if line.startswith("Inference"))
        print(f"  version {version}: {rate} on the 1000 images that it was not trained on")


@contextlib.contextmanager
def _store(images: dict[str, str], folder: Path) -> Iterator[None]:
    """
    Run the S3 store with the models in it.
    """
    say("Starting an S3 store in the cluster and putting the models into it.")
    manifest = (ROOT / "examples/s3/s3.yaml").read_text().replace("S3_IMAGE", images["s3"])
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("rollout", "status", "deployment/s3", "--timeout=120s")
    with cluster.forward("service/s3", f"{S3}:7070"):
        program = str(ROOT / "examples/s3/upload.py")
        told = cluster.python(program, f"http://127.0.0.1:{S3}", str(folder / NAME), "models")
        print(f"  {told.strip()}")
    yield


def _ask() -> None:
    """
    Send one REST prediction, and a thousand over gRPC with TensorFlow Serving's own stubs.
    """
    say("One image over REST, then a thousand over gRPC with TensorFlow Serving's own stubs:")
    with Clients(f"127.0.0.1:{REST}", f"127.0.0.1:{GRPC}", NAME, count=0) as clients:
        version, scores = clients.ask_once()
    best = max(range(len(scores)), key=scores.__getitem__)
    print(f"  REST: version {version} takes the first test image for a {best}.")
    program = str(ROOT / "examples/digits/digits_client.py")
    told = cluster.python(program, "--num_tests=1000", f"--server=127.0.0.1:{GRPC}")
    print(f"  gRPC: {told.strip().splitlines()[-1]}")


def _table(steps: list[Step]) -> None:
    print("\n  step   weight   pods of v2      REST v1 / v2       gRPC v1 / v2   share of v2")
    for step in steps:
        rest, rpc = step.counts["rest"], step.counts["grpc"]
        total = sum(rest.values()) + sum(rpc.values())
        share = f"{(rest['2'] + rpc['2']) / total:.1%}" if total else "-"
        print(
            f"  {step.title:>5}  {step.weight:>6}  {step.pods:>11}  "
            f"{rest['1']:>8} / {rest['2']:<6}  {rpc['1']:>8} / {rpc['2']:<6}  {share:>10}"
        )
    print("  A row holds what was counted from one look to the next, two looks a second.")


def _by_hand() -> None:
    print(f"""
Go on by hand:
  eval "$(.venv/bin/devcluster env)"
  kubectl config set-context --current --namespace={cluster.NAMESPACE}
  kubectl get modeldeployments --watch
  kubectl patch mdep {NAME} --type=merge --patch='{{"spec":{{"model":{{"version":1}}}}}}'
  kubectl describe mdep {NAME}
  make demo-down        # removes all of it
""")


if __name__ == "__main__":
    main()
