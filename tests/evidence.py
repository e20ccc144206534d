"""
The long tests, and the table of what they showed: `make test-long`.

Everything runs that `make test` leaves out: every cluster scenario in full, the development
cluster's own life, 20,000 simulated rollouts, the long contract tests, and every benchmark in
bench/, each of which fails when it misses its goals. The table goes into
docs/evidence/, with the date and the commit. Arguments name the parts to run, such as
`contract benchmarks`; without any, all of them run.
"""

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/evidence"
RUNS: tuple[tuple[str, list[str], dict[str, str]], ...] = (
    ("simulation", ["tests/scenario"], {"MODELDEPLOY_ROLLOUTS": "20000"}),
    ("contract", ["tests/contract", "-m", "long"], {}),
    ("cluster", ["tests/cluster"], {}),
    ("devcluster", ["tests/devcluster"], {}),
)
BENCHES = "benchmarks"
BENCHMARKS = sorted(path.relative_to(ROOT) for path in (ROOT / "bench").glob("*.py"))


@dataclass(frozen=True, slots=True)
class Row:
    """
    One test: what it is, how it ended, how long it took, and the figures that it logged.
    """

    name: str
    result: str
    seconds: float
    figures: tuple[str, ...]


def _run(paths: list[str], environment: dict[str, str], report: Path) -> int:
    command = [sys.executable, "-m", "pytest", *paths, f"--junitxml={report}"]
    command += ["-o", "junit_logging=log", "-o", "log_level=INFO", "--timeout=1200"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, check=False
    ).returncode


def _result(case: ET.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return "passed"


def _figures(case: ET.Element) -> tuple[str, ...]:
    """
    Find what the test itself logged; other programs' lines do not count.
    """
    text = "\n".join(node.text or "" for node in case.findall("system-out"))
    return tuple(re.findall(r"^INFO +tests\.\S*:\S+\.py:\d+ (.*)$", text, re.MULTILINE))


def _read(report: Path) -> list[Row]:
    rows = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        rows.append(Row(name, _result(case), float(case.get("time", "0")), _figures(case)))
    return rows


def _table(rows: list[Row]) -> list[str]:
    lines = ["| test | result | seconds | figures |", "|---|---|---|---|"]
    lines += [
        f"| `{row.name}` | {row.result} | {row.seconds:.0f} | {'; '.join(row.figures)} |"
        for row in rows
    ]
    return lines


def _benchmark(program: Path) -> tuple[bool, list[str]]:
    """
    Run one benchmark; return whether it missed a goal, and its part of the report.
    """
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode != 0, [f"## {program}", "", "```", done.stdout.strip(), "```", ""]


def _wanted(arguments: list[str]) -> list[str]:
    known = [*(title for title, _, _ in RUNS), BENCHES]
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        sys.exit(f"There is no part {unknown[0]!r}; the parts are {', '.join(known)}.")
    return [name for name in known if name in arguments] or known


def main(arguments: list[str]) -> None:
    """
    Run the wanted parts, write the table, and exit with an error unless all passed.
    """
    wanted = _wanted(arguments)
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=True
    )
    if changed.stdout:
        sys.exit("The long tests speak of a commit: commit or remove what git status shows first.")
    commit, today = head.stdout.strip(), datetime.now(UTC).date().isoformat()
    lines = [f"# Long tests of {today}, commit {commit}", ""]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for title, paths, environment in (run for run in RUNS if run[0] in wanted):
            report = Path(folder) / f"{title}.xml"
            failed |= _run(paths, environment, report) != 0
            lines += [f"## {title.capitalize()}", "", *_table(_read(report)), ""]
    for program in BENCHMARKS if BENCHES in wanted else ():
        missed, part = _benchmark(program)
        failed |= missed
        lines += part
    FOLDER.mkdir(parents=True, exist_ok=True)
    suffix = f"-{'-'.join(wanted)}" if arguments else ""
    (FOLDER / f"{today}-{commit}{suffix}.md").write_text("\n".join(lines), encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
