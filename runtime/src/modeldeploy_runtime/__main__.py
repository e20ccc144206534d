"""Lets ``python -m modeldeploy_runtime`` do what ``modeldeploy-server`` does."""

from modeldeploy_runtime.app import main

main()
