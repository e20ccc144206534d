"""Writes what people read about the flags: ``--help``, and docs/reference/runtime-flags.md."""

import dataclasses
import textwrap
from collections.abc import Iterator
from typing import Any

from modeldeploy_runtime import flags
from modeldeploy_runtime.flags import Duration
from modeldeploy_runtime.settings.groups import GROUPS

_KINDS = {
    bool: "boolean",
    int: "whole number",
    float: "number",
    str: "text",
    Duration: "time",
}
_HEAD = """# The flags of modeldeploy-server

This page is generated from the program by `make generate`; do not edit it.

`--flag=value` and `--flag value` mean the same, and a bare `--flag` sets a boolean to true; `--noflag` is refused.
Dashes inside a name count as underscores, and the last of several wins.
An unknown flag, a bad value or a contradiction ends the program with one sentence and exit status 255.
Flags marked *ours* are not TensorFlow Serving's.
"""  # noqa: E501 - a page's line is a sentence
_HELP_WIDTH = 78


def help_text() -> str:
    """Write the page that ``--help`` prints."""
    lines = [
        "modeldeploy-server serves models as TensorFlow Serving does.",
        "",
        "  modeldeploy-server --model_name=NAME --model_base_path=/FOLDER [flags]",
        "  modeldeploy-server --model_config_file=FILE [flags]",
        "  modeldeploy-server fetch --uri=URI --version=V --to=DIR",
        "  modeldeploy-server watch --uri=URI [--poll_interval=1m] [--settle_period=10s]",
        "  modeldeploy-server inspect PATH [--against=OTHER] [--signature=NAME]",
        "                                  [--tag_set=TAGS] [--json]",
    ]
    for group in GROUPS:
        lines += ["", f"{group.__doc__}"]
        for field in dataclasses.fields(group):
            default = _default(field)
            lines.append(f"  --{field.name}{f' (default: {default})' if default else ''}")
            text = " ".join(_meaning(field)).replace("`", "")
            lines += textwrap.wrap(
                text, _HELP_WIDTH, initial_indent="      ", subsequent_indent="      "
            )
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Write docs/reference/runtime-flags.md."""
    lines = [_HEAD]
    for group in GROUPS:
        lines += [
            f"## {str(group.__doc__).rstrip('.')}",
            "",
            "| flag | type | default | meaning |",
            "|---|---|---|---|",
        ]
        for field in dataclasses.fields(group):
            default = _default(field)
            if default and not flags.about(field).shown:
                default = f"`{default}`"
            meaning = " ".join(_meaning(field)).replace("|", "\\|")
            lines.append(
                f"| `--{field.name}` | {_KINDS[field.type]} | {default} | {meaning} |"  # type: ignore[index]  # a flag's type is one of these
            )
        lines.append("")
    return "\n".join(lines)


def _meaning(field: "dataclasses.Field[Any]") -> Iterator[str]:
    said = flags.about(field)
    yield said.help
    if said.ours:
        yield "*Ours.*"
    if said.unused:
        yield f"No effect here: {said.unused}."


def _default(field: "dataclasses.Field[Any]") -> str:
    shown = flags.about(field).shown
    if shown or field.default == "":
        return shown
    return str(field.default).lower() if field.type is bool else f"{field.default}"
