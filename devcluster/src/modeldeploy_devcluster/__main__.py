"""Let `python -m modeldeploy_devcluster` be the command `devcluster`."""

import sys

from modeldeploy_devcluster.cli import main

sys.exit(main())
