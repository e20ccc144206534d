"""Carries out ``modeldeploy-server replay``."""

import itertools
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching.errors import PERMANENT, FetchError, classify
from modeldeploy_runtime.flags import Duration, flag
from modeldeploy_runtime.replaying import exchanges, logs, tally
from modeldeploy_runtime.replaying.client import Client, RefusedError, UnreachableError
from modeldeploy_runtime.replaying.exchanges import Recorded
from modeldeploy_runtime.replaying.tally import Tally
from modeldeploy_runtime.telemetry import logs as logging_setup
from modeldeploy_runtime.tensors import comparing
from modeldeploy_runtime.tensors.comparing import Comparison

_log = logging.getLogger(__name__)

DONE, MAY_PASS, STAYS = 0, 1, 2
"""The exit statuses; a wrong command line has the server's own, 255."""
AT_ONCE = 4
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of ``replay``."""

    uri: str
    target: str
    model: str = flag("", "Only records of this model; the name under which it is asked.")
    tolerance: float = flag(1e-3, "By how much numbers may differ.", least=0.0)
    max_requests: int = flag(1000, "At most so many are sent.", least=1)
    root_certificates_file: str = flag(
        "", "Who signed the server's certificate, as PEM; the connection is encrypted then."
    )
    server_name: str = flag("", "The host that the certificate is for, if not the target's.")
    request_timeout: Duration = flag(Duration(30), "How long one answer may take.")
    connect_timeout: Duration = flag(Duration(60), "How long the server may be away.")
    termination_log: str = ""
    pvc_root: str = "/pvc"
    log_format: str = "plain"


def run(arguments: Sequence[str]) -> int:
    """Replay what the command line asks for, report, and return the exit status."""
    request = flags.parse(arguments, Request)
    logging_setup.set_up(request.log_format)
    try:
        found = replay(request)
        code = tally.REPLAYED if found.compared else tally.NO_RECORDS
        status, text = DONE, tally.report(code, found.sentence(), found)
    except UnreachableError as error:
        status, text = MAY_PASS, tally.report(tally.UNREACHABLE, f"{error}")
    except FetchError as error:
        status = STAYS if error.code in PERMANENT else MAY_PASS
        text = tally.report(error.code.value, error.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
        _log.exception("Replaying failed in an unforeseen way.")
        failure = classify(error, "Replaying")
        status, text = MAY_PASS, tally.report(failure.code.value, failure.message)
    sys.stdout.write(text + "\n")
    if request.termination_log:
        Path(request.termination_log).write_text(text)
    return status


def replay(request: Request) -> Tally:
    """
    Send recorded requests again, and compare what is answered.

    Raises:
        FetchError: The log cannot be read.
        UnreachableError: The server cannot be asked.
    """
    file = request.root_certificates_file
    trusted = Path(file).read_text() if file else ""
    client = Client(request.target, request.request_timeout, trusted, request.server_name)
    found = Tally()
    try:
        client.wait(request.connect_timeout)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for batch in _batches(_recorded(request)):
                answers = threads.map(lambda one: _ask(client, one, request.tolerance), batch)
                for answer in answers:
                    found = _count(found, answer)
    finally:
        client.close()
    return found


def _recorded(request: Request) -> Iterator[Recorded | None]:
    """Yield what can be sent again, up to the wanted number, and None for what cannot."""
    left = request.max_requests
    for record in logs.read(request.uri, request.pvc_root):
        taken = exchanges.take(record, request.model)
        yield taken
        left -= taken is not None
        if not left:
            return


def _batches(found: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(found)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch


def _ask(client: Client, recorded: Recorded | None, tolerance: float) -> Comparison | str | None:
    if recorded is None:
        return None
    try:
        answer = client.ask(recorded.method, recorded.request)
    except RefusedError as error:
        return f"{error}"
    return comparing.compare(recorded.answer, answer, tolerance)


def _count(found: Tally, answer: Comparison | str | None) -> Tally:
    if answer is None:
        return found.skip()
    return found.fail(answer) if isinstance(answer, str) else found.add(answer)
