"""
Who answers a request: the rules of HAProxy's frontends, and what they read from the routing map.

A pin comes first, as nobody else may answer it. What is not pinned goes to whom its headers match,
else to a pool with a lasting share, else to the canary or to stable.
"""

import re
from urllib.parse import quote

from modeldeploy_router.core.routing import FULL_WEIGHT, MOST_SHARES, Routing

SPLIT, MATCH, STICKY = "split", "match", "sticky"
LUA_FILE = "choice.lua"
PIN_HEADER = "x-modeldeploy-pin"
VERSION_HEADER = "x-model-version"
FALLBACK_HEADER = "x-modeldeploy-fallback"
METADATA_HINT = (
    "A compressed message says nothing of its version or label to the router: "
    "send the metadata x-model-version or x-model-label with it."
)

# Status and metadata are stable's: they are asked to learn what the deployment serves.
_PREDICTS = {
    "rest": "METH_POST",
    "grpc": "!{ path_beg /tensorflow.serving.ModelService/ }"
    " !{ path /tensorflow.serving.PredictionService/GetModelMetadata }",
}


def map_entries(routing: Routing) -> dict[str, str]:
    """
    Compute the routing map: the split, the pins, the rules, and each slot's health check.

    Pointers, weights and generation are one entry, so that no request can see half of a change.
    """
    split = [routing.stable or "", routing.canary or "", routing.weight, routing.generation]
    drawn = 0
    for slot, share in routing.shares.items():
        drawn += share
        split += [slot, drawn]
    entries = {SPLIT: ":".join(map(str, split))}
    for version, slot in routing.pinned_versions().items():
        entries[f"version/{version}"] = f"{slot}:{_canonical(routing.slots[slot].version)}"
    for label, slot in routing.pinned_labels().items():
        entries[f"label/{label}"] = f"{slot}:{_canonical(routing.slots[slot].version)}"
    if routing.match:
        entries[MATCH] = "|".join(
            ";".join([rule.to, *(f"{name}={quote(v, safe='')}" for name, v in rule.headers)])
            for rule in routing.match
        )
    if routing.sticky:
        entries[STICKY] = ":".join(routing.sticky)
    entries.update({slot: routing.check_path(slot) for slot in sorted(routing.slots)})
    for slot, pool in routing.slots.items():
        if pool.shared:
            entries[f"shared/{slot}"] = _canonical(pool.version)
    return entries


def render_named(map_file: str, when: str = "TRUE") -> str:
    """
    Render how a request that names no version is told which one its slot stands for.

    It matters where the servers of a slot hold several; others need not be told.
    """
    return f"""  http-request set-var-fmt(txn.shared) "shared/%[var(txn.slot)]"
  http-request set-var(txn.named) var(txn.shared),map({map_file})
  acl is_shared var(txn.named) -m found
  http-request set-header {VERSION_HEADER} %[var(txn.named)] if is_shared {when}"""


def _canonical(version: str) -> str:
    return quote(version, safe="")


def render_choice(protocol: str, map_file: str) -> str:
    """
    Render the rules of a frontend, from the request's whole head to the backend.
    """
    return f"""  http-request del-header {PIN_HEADER}
  http-request del-header {FALLBACK_HEADER}
  http-request set-var(txn.split) str({SPLIT}),map({map_file})
  http-request deny status 503 default-errorfiles unless {{ var(txn.split),field(1,:) -m len gt 0 }}
{_pins(protocol, map_file)}
{_split(protocol, map_file)}
{render_named(map_file, "!pinned !asks_status")}
  use_backend {protocol}_%[var(txn.slot)]_pinned if pinned
  use_backend {protocol}_%[var(txn.slot)]
"""


def _pins(protocol: str, map_file: str) -> str:
    """
    Render how a pin is found, refused where no pool holds it, and told to the server.

    Headers go before the path or the message. A server that knows no labels is told what the
    router has made of one: by the path, and by a header that it may believe.
    """
    asked = "var(txn.pool),field(2,:)"
    refusals = "\n".join(f"  {line}" for line in _refusals(protocol))
    return f"""  acl has_version_header req.hdr(x-model-version) -m len gt 0
  acl has_label_header req.hdr(x-model-label) -m len gt 0
  http-request set-var(txn.version) req.hdr(x-model-version) if has_version_header
  http-request set-var(txn.label) req.hdr(x-model-label) if has_label_header !has_version_header
{_SOURCES[protocol]}
  acl by_version var(txn.version) -m len gt 0
  acl by_label var(txn.label) -m len gt 0
  http-request set-var(txn.version) 'var(txn.version),regsub("^0+([0-9]+)$","\\1")'
  http-request set-var-fmt(txn.pin) "version/%[var(txn.version)]" if by_version
  http-request set-var-fmt(txn.pin) "label/%[var(txn.label)]" if by_label !by_version
  acl pinned var(txn.pin) -m found
  acl held var(txn.pool) -m found
  http-request set-var(txn.pool) var(txn.pin),map({map_file}) if pinned
{refusals}
  http-request set-header {PIN_HEADER} "%[{asked}]" if by_version
  http-request set-header {PIN_HEADER} "%[{asked}] %[var(txn.label)]" if by_label !by_version
"""


_LABEL_PATH = "'(?i)^(/v1/models/[^/:]+)/labels/[^/:]+(.*)$'"
_VERSION_PATH = r"'\1/versions/%[var(txn.meant)]\2'"

_SOURCES = {
    "rest": """  acl has_header var(txn.pinned_by) -m found
  acl names_version path,field(5,/) -m str -i versions
  acl names_label path,field(5,/) -m str -i labels
  http-request set-var(txn.pinned_by) str(header) if has_version_header or has_label_header
  http-request set-var(txn.version) path,field(6,/),field(1,:),url_dec if names_version !has_header
  http-request set-var(txn.label) path,field(6,/),field(1,:),url_dec if names_label !has_header
  http-request set-var(txn.model) path,field(4,/),field(1,:),url_dec""",
    # Field 1 of every request is its model_spec (MultiInference: of its first task), which a
    # client writes first, so that it is in the buffer whatever the message's size.
    "grpc": """  acl is_ours path_beg /tensorflow.serving.
  acl is_multi path /tensorflow.serving.PredictionService/MultiInference
  acl is_plain req.body,bytes(0,1),hex -m str 00
  acl has_header var(txn.pinned_by) -m found
  http-request set-var(txn.pinned_by) str(header) if has_version_header or has_label_header
  http-request set-var(txn.packed) bool(true) if is_ours !is_plain !has_header
  http-request set-var(txn.spec) req.body,bytes(5),protobuf(1) if is_ours is_plain !is_multi
  http-request set-var(txn.spec) req.body,bytes(5),protobuf(1),protobuf(1) if is_multi is_plain
  acl names_version var(txn.spec),protobuf(2) -m found
  acl names_none var(txn.spec),protobuf(2) -m len 0
  http-request set-var(txn.number) var(txn.spec),protobuf(2),protobuf(1,int64)
  http-request set-var-fmt(txn.version) "%[var(txn.number)]" if names_version !has_header
  http-request set-var(txn.version) str(0) if names_version names_none !has_header
  http-request set-var(txn.label) var(txn.spec),protobuf(4) if !has_header
  http-request set-var(txn.model) var(txn.spec),protobuf(1)""",
}

# TensorFlow Serving's words, by when they are said; `V`, `L` and `M` are what was asked for.
_NOT_FOUND = (
    ("Could not find version V of model M", "by_version !held asks_status"),
    ("Servable not found for request: Specific(M, V)", "by_version !held"),
    ("Unrecognized servable version label: L", "by_label !held"),
)


def _words(text: str, coded: str) -> str:
    """
    Put HAProxy's variables into a sentence, coded as its place in the answer asks for.
    """
    names = {"V": "version", "L": "label", "M": "model"}
    parts = (f"%[var(txn.{names[p]}),{coded}]" if p in names else p for p in re.split(r"\b", text))
    return "".join(parts)


def _refusals(protocol: str) -> list[str]:
    if protocol == "rest":
        answer = "http-request return status 404 content-type application/json lf-string"
        return [
            "acl asks_status path_reg -i ^/v1/models/[^/:]+(/[^/]+/[^/:]+)?$",
            *(
                f"""{answer} '{{ "error": "{_words(text, "json(utf8s)")}" }}' if {when}"""
                for text, when in _NOT_FOUND
            ),
            "http-request set-var(txn.meant) var(txn.pool),field(2,:)",
            f"http-request replace-path {_LABEL_PATH} {_VERSION_PATH} if by_label names_label",
        ]
    answer = "http-request return status 200 hdr grpc-status 5 hdr grpc-message"
    hint = f"%[res.fhdr(grpc-message)]. {METADATA_HINT}"
    return [
        "acl asks_status path /tensorflow.serving.ModelService/GetModelStatus",
        *(f'{answer} "{_words(text, "url_enc")}" if {when}' for text, when in _NOT_FOUND),
        "acl is_typed res.hdr(content-type) -m found",
        "http-after-response set-header content-type application/grpc unless is_typed",
        "acl is_lost res.fhdr(grpc-status) -m str 5",
        "acl is_packed var(txn.packed) -m bool",
        f'http-response set-header grpc-message "{hint}" if is_lost is_packed',
    ]


def _split(protocol: str, map_file: str) -> str:
    """
    Render the choice for what is not pinned.

    The two draws are independent: one for the lasting shares, one between canary and stable. A
    sticky request draws the hash of its key, which is the same at every router, in every protocol.
    """
    predicts, no_pin = _PREDICTS[protocol], "!pinned"
    full = FULL_WEIGHT
    canary = "http-request set-var(txn.slot) var(txn.split),field(2,:)"
    lines = [
        f"http-request set-var(txn.sticky) str({STICKY}),map({map_file})",
        f"http-request set-var(txn.match) str({MATCH}),map({map_file})",
        "http-request set-var(txn.key) lua.sticky_key if { var(txn.sticky) -m found }",
        "acl is_sticky var(txn.key) -m len gt 0",
        "http-request set-var(txn.matched) lua.matched if { var(txn.match) -m found }",
        "acl matched var(txn.matched) -m len gt 0",
        f"http-request set-var(txn.rand) rand({full})",
        f"http-request set-var(txn.draw) rand({full})",
        f"http-request set-var(txn.rand) var(txn.key),xxh32,mod({full}) if is_sticky",
        f"http-request set-var(txn.draw) var(txn.key),xxh32(1),mod({full}) if is_sticky",
        "http-request set-var(txn.slot) var(txn.split),field(1,:)",
        "http-request set-var(txn.weight) var(txn.split),field(3,:),add(0)",
        "acl drawn var(txn.rand),sub(txn.weight) -m int lt 0",
        "acl takes_canary var(txn.matched) -m str canary",
        "acl has_canary var(txn.weight) -m int gt 0",
        f"{canary} if drawn {no_pin} !matched {predicts}",
        f"{canary} if takes_canary has_canary {no_pin} {predicts}",
        "acl has_shares var(txn.split),field(5,:) -m len gt 0",
    ]
    # From the last to the first, as each range begins at 0 and the first that holds counts.
    for number in reversed(range(MOST_SHARES)):
        slot = f"var(txn.split),field({5 + 2 * number},:)"
        bound, name = f"var(txn.split),field({6 + 2 * number},:),add(0)", f"txn.bound{number}"
        is_drawn = f"{{ var({name}) -m found }} in_share{number}"
        lines += [
            f"http-request set-var({name}) {bound} if has_shares {{ {slot} -m len gt 0 }}",
            f"acl in_share{number} var(txn.draw),sub({name}) -m int lt 0",
            f"http-request set-var(txn.slot) {slot} if {is_drawn} {no_pin} !matched {predicts}",
        ]
    lines.append("http-request set-var(txn.slot) var(txn.pool),field(1,:) if pinned")
    return "\n".join(f"  {line}" for line in lines)
