"""Parts of the spec that need more than a bare cluster: Gateways, and metrics to scale by."""
