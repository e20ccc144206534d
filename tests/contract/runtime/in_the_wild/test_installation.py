"""
What the READMEs tell people to type works as it stands there, in an empty virtual environment.

`pip` runs as it is; everything else in namespaces of its own, with an empty /tmp and free ports.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[4]
MARK = "\x01"
ALONE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
BEGIN = "mount -t tmpfs tmpfs /tmp && ip link set lo up"
READY = "curl --silent --fail --retry 120 --retry-delay 1 --retry-all-errors --max-time 5"


@dataclass(frozen=True, slots=True)
class Step:
    """
    A command of a README, and what it prints there; None where nothing is shown.
    """

    command: str
    shown: str | None


def _steps(readme: Path) -> list[Step]:
    blocks = re.findall(r"^```console\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    steps = []
    for part in re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        steps.append(Step(command, shown.strip() or None))
    return steps


def _program(step: Step) -> str:
    """
    Write a command for bash; a server goes to the background, as in a second terminal.

    What shows something ends by itself and is no server.
    """
    if step.shown is not None or not step.command.startswith("modeldeploy-server --"):
        return step.command
    port = re.search(r"--rest_api_port=(\d+)", step.command)
    url = f"http://localhost:{port[1] if port else 8501}/readyz"
    command = step.command.removesuffix("&").strip()
    return f"{command} 1>&2 &\n{READY} --output /dev/null {url} 2>/dev/null"


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """
    A folder with a copy of the sources, and an empty virtual environment beside it.

    It is outside of /tmp, which the commands see empty.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        for part in ("runtime", "examples"):
            shutil.copytree(ROOT / part, folder / "sources" / part)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        yield folder


def _bash(folder: Path, lines: list[str], alone: bool) -> str:  # noqa: FBT001 - one choice
    script = ["set -e", f"source {folder}/venv/bin/activate", *lines]
    done = subprocess.run(
        [*(ALONE if alone else ()), "bash", "-c", "\n".join(script)],
        cwd=folder / "sources",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.requirement("row-2")
@pytest.mark.requirement("row-17")
@pytest.mark.parametrize("readme", ["runtime/README.md", "examples/minilm/README.md"])
def test_readme(installed: Path, readme: str) -> None:
    """
    Every command ends well, and prints what the README shows.
    """
    steps = _steps(ROOT / readme)
    _bash(installed, [s.command for s in steps if s.command.startswith("pip ")], alone=False)
    steps = [step for step in steps if not step.command.startswith("pip ")]
    lines = [BEGIN, f"cd {shlex.quote(str(installed / 'sources'))}"]
    for step in steps:
        lines += [f"printf '{MARK}'", _program(step)]
    printed = _bash(installed, lines, alone=True).split(MARK)[1:]
    for step, found in zip(steps, printed, strict=True):
        if step.shown is not None:
            assert found.strip() == step.shown, step.command
