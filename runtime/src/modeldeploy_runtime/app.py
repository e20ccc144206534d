"""
The program: ``modeldeploy-server``, also installed as ``tensorflow_model_server``.

Without a sub-command it serves; ``fetch`` gets a version from a storage, ``discard`` removes what
fetches shared, ``follow`` keeps a folder in step with a list of versions, ``watch`` says which are
complete in a storage, ``inspect`` describes one, and ``replay`` asks a server what another one was
asked.  Each imports only what it needs, as these must start fast.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modeldeploy_runtime import __version__
from modeldeploy_runtime.flags import FlagError

if TYPE_CHECKING:
    from modeldeploy_runtime.fetching.command import Request

_log = logging.getLogger(__name__)


# What a shell says of a program that SIGTERM ended.
TERMINATED = 128 + signal.SIGTERM


class _TerminatedError(BaseException):
    """SIGTERM came while something was being fetched: what was begun must be cleared away."""


def main() -> NoReturn:
    """Run the program with this process' arguments."""
    status = run(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    # Threads that hang in a model or in a storage, and TensorFlow's own clean-up, must not delay
    # the end.
    os._exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit status."""
    try:
        command = _COMMANDS.get(arguments[0]) if arguments else None
        return command(arguments[1:]) if command else _serve(arguments)
    except FlagError as error:
        sys.stderr.write(f"{error}\n")
        return 255


def _follow(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.following import command  # noqa: PLC0415 - the server needs none of it

    return _until_terminated(lambda: command.run(arguments, _judge))


def _fetch(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.fetching import command  # noqa: PLC0415 - the server needs none of it

    return _until_terminated(lambda: command.run(arguments, _judge))


def _discard(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.fetching.shared import discard  # noqa: PLC0415 - the server needs none of it

    return _until_terminated(lambda: discard.run(arguments))


def _until_terminated(work: Callable[[], int]) -> int:
    def end(*_: object) -> None:
        raise _TerminatedError

    signal.signal(signal.SIGTERM, end)
    try:
        return work()
    except _TerminatedError:
        return TERMINATED


def _judge(folder: Path, request: "Request") -> str:
    from modeldeploy_runtime.inspection import gate  # noqa: PLC0415 - few fetches need it

    return gate.judge(folder, request)


def _watch(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.watching import command  # noqa: PLC0415 - the server needs none of it

    # A process with the number 1 ignores a SIGTERM for which it has no handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    return command.run(arguments)


def _inspect(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.inspection import command  # noqa: PLC0415 - the server needs none of it

    return command.run(arguments)


def _replay(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime.replaying import command  # noqa: PLC0415 - the server needs none of it

    return command.run(arguments)


_COMMANDS = {
    "fetch": _fetch,
    "discard": _discard,
    "follow": _follow,
    "watch": _watch,
    "inspect": _inspect,
    "replay": _replay,
}


def _serve(arguments: Sequence[str]) -> int:
    import uvloop  # noqa: PLC0415 - not needed for fetching

    from modeldeploy_runtime import serving, settings, validation  # noqa: PLC0415 - not needed for fetching
    from modeldeploy_runtime.settings import pages  # noqa: PLC0415 - not needed for fetching
    from modeldeploy_runtime.telemetry import logs  # noqa: PLC0415 - not needed for fetching

    # A process with the number 1 ignores a SIGTERM for which it has no handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if validation.is_wanted(arguments):
        return _validate(arguments)
    wanted = settings.parse(arguments, os.environ)
    if wanted.version or wanted.help:
        version = f"modeldeploy-server {__version__}\n"
        sys.stdout.write(version if wanted.version else pages.help_text())
        return 0
    models = settings.models(wanted)
    logs.set_up(wanted.log_format)
    for notice in settings.notices(arguments):
        _log.warning("%s", notice)

    async def serve() -> None:
        await serving.Server(wanted, models).run()

    try:
        uvloop.run(serve())
    except (OSError, RuntimeError) as error:
        # grpcio says by RuntimeError that a port is taken.
        _log.error("The server cannot run: %s", error)
        return 1
    return 0


def _validate(arguments: Sequence[str]) -> int:
    from modeldeploy_runtime import validation  # noqa: PLC0415 - not needed for fetching

    faults, warnings = validation.report(arguments, os.environ)
    sys.stdout.writelines(f"warning: {warning}\n" for warning in warnings)
    sys.stdout.writelines(f"error: {fault}\n" for fault in faults)
    sys.stdout.write(f"{len(faults)} errors, {len(warnings)} warnings\n")
    return 1 if faults else 0
