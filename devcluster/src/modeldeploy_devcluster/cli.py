"""The command `devcluster`: up, down, status and the small tools around them."""

import argparse
from pathlib import Path
import sys

from modeldeploy_devcluster import settings as settings_module
from modeldeploy_devcluster.embedded.cluster import Cluster
from modeldeploy_devcluster.settings import DevclusterError


def main() -> int:
    s = settings_module.load()
    c = Cluster(s)
    try:
        match sys.argv[1]:
            case "up": c.up()
            case "down": c.down()
            case "status": 
                for r in c.status()[0]: print(*r)
    except DevclusterError as e:
        print("devcluster:", e, file=sys.stderr)
        return 1
    return 0
