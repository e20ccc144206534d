"""
Makes the cluster tests' models: half_plus_two in versions that answer version + 1 to an input of 0.

Version 7 has variables that no loader can read, version 8 a graph that is no protocol buffer, and
version 9 is incomplete.
"""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

EXAMPLE = Path(__file__).parents[2] / "examples/half_plus_two/make_model.py"
GOOD = (1, 2, 3)


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """
    Write all versions below the folder that the command line names.
    """
    folder = Path(sys.argv[1])
    example = _example()
    for version in GOOD:
        example.export(folder, version, offset=float(version + 1))
    shutil.copytree(folder / "1", folder / "7")
    index = folder / "7" / "variables" / "variables.index"
    index.write_bytes(bytes(index.stat().st_size))
    shutil.copytree(folder / "1", folder / "8")
    (folder / "8" / "saved_model.pb").write_bytes(b"this is no graph")
    shutil.copytree(folder / "1", folder / "9")
    next((folder / "9" / "variables").glob("variables.data-*")).unlink()


if __name__ == "__main__":
    main()
