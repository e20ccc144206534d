"""
What versions with one graph save by sharing it: time, processor time and memory of a load.

Run it with `PYTHONPATH=tests python bench/shared_graph.py`.
Each way is measured in a process of its own, with a network of a hundred layers of which further
versions are loaded beside the first one.
It ends with status 1 if sharing does not save memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modeldeploy_runtime.loaders import memory
from modeldeploy_runtime.loaders.port import LoadOptions
from modeldeploy_runtime.loaders.savedmodel import SavedModelPlatform
from modeldeploy_runtime.servables.ids import ServableId

VERSIONS = 6
LAYERS, WIDTH = 100, 64


def place(folder: Path, *, shared: bool) -> list[Path]:
    """
    Write versions with the same graph, or with graphs that differ by a byte that means nothing.
    """
    first = folder / "1"
    size = [f"--layers={LAYERS}", f"--width={WIDTH}"]
    command = [sys.executable, "-m", "testkit.perceptron", str(first), *size]
    subprocess.run(command, check=True, capture_output=True)
    paths = [first]
    for version in range(2, VERSIONS + 1):
        path = folder / str(version)
        path.mkdir()
        (path / "variables").symlink_to(first / "variables")
        mark = b"" if shared else b"\xfa\x3f\x08%08d" % version
        (path / "saved_model.pb").write_bytes((first / "saved_model.pb").read_bytes() + mark)
        paths.append(path)
    return paths


def measure(*, shared: bool) -> dict[str, float]:
    """
    Load all versions beside one another, and tell what each after the first one took.
    """
    platform = SavedModelPlatform(LoadOptions(intra_op_threads=1))
    platform.prepare()
    seconds, processor, megabytes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        paths = place(Path(folder), shared=shared)
        models = []
        for version, path in enumerate(paths):
            before = memory.resident(), time.perf_counter(), time.process_time()
            models.append(platform.load(ServableId("m", version), path))
            seconds.append(time.perf_counter() - before[1])
            processor.append(time.process_time() - before[2])
            megabytes.append((memory.resident() - before[0]) / 1e6)
    return {
        "seconds": statistics.median(seconds[1:]),
        "processor": statistics.median(processor[1:]),
        "megabytes": statistics.median(megabytes[1:]),
    }


def main() -> int:
    """
    Measure both ways, and return the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=("shared", "apart"), help="measure one way only")
    way = parser.parse_args().way
    if way:
        print(json.dumps(measure(shared=way == "shared")))
        return 0
    found = {}
    for way in ("apart", "shared"):
        command = [sys.executable, __file__, f"--way={way}"]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[way] = json.loads(run.stdout.splitlines()[-1])
        took = found[way]
        print(
            f"{way:6} {took['seconds']:.2f} s, {took['processor']:.2f} s of a processor, "
            f"{took['megabytes']:.1f} MB for each further version"
        )
    met = found["shared"]["megabytes"] < found["apart"]["megabytes"]
    print("goal: sharing saves memory:", "met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
