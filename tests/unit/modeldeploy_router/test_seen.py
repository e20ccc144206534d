"""
What HAProxy prints is read as it prints it.
"""

from modeldeploy_router.core.seen import Seen, Server, parse_map, parse_table, servers_in, stat_rows

STAT = """# pxname,svname,status,check_status,addr,
rest,FRONTEND,OPEN,,,
rest_a,fallback,no check,,unix,
rest_a,ip-10.0.0.1,UP,L7OK,10.0.0.1:8501,
rest_a,ip-10.0.0.2,UP 1/3,* L7TOUT,10.0.0.2:8501,
rest_a,ip-10.0.0.3,DOWN,INI,10.0.0.3:8501,
rest_a,ip-10.0.0.4,MAINT,,10.0.0.4:8501,
rest_a,BACKEND,UP,,,

"""


def test_servers() -> None:
    """
    Ours are neither totals nor the fallback; states with a count are up or down all the same.
    """
    assert servers_in(stat_rows(STAT)) == {
        "rest_a": {
            "ip-10.0.0.1": Server(out=False, up=True, checked=True),
            "ip-10.0.0.2": Server(out=False, up=True, checked=True),
            "ip-10.0.0.3": Server(out=False, up=False, checked=False),
            "ip-10.0.0.4": Server(out=True, up=False, checked=False),
        }
    }


def test_map() -> None:
    """
    Each line is a reference, a key and a value; the generation stands at the end of the split.
    """
    text = "0x55d0 split a:b:1000:7\n0x55d8 a /v1/models/m/versions/1\n\n"
    entries = parse_map(text)
    assert entries == {"split": "a:b:1000:7", "a": "/v1/models/m/versions/1"}


def test_table() -> None:
    """
    Each line of a table has a key and the counter.
    """
    text = (
        "# table: grpc_failures, type: string, size:1024, used:1\n"
        "0x55d0: key=grpc_a use=0 exp=0 shard=0 gpc0=5\n\n"
    )
    assert parse_table(text) == {"grpc_a": 5}


def test_nothing_is_seen_before_anything_is_there() -> None:
    """
    A fresh HAProxy has neither servers nor entries.
    """
    assert Seen() == Seen({}, {})
