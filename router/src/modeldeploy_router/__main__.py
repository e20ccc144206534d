"""
`python -m modeldeploy_router` is the same as the command `modeldeploy-router`.
"""

import sys

from modeldeploy_router.app import main

sys.exit(main())
