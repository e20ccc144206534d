"""
The embedded cluster: a real Kubernetes in namespaces of its own, without Docker.

`node` makes the namespaces, `pki` the certificates, `rendering` and `components` say what every
component is given, `processes` starts and stops them, `health` and `api` look at them, and
`cluster` puts the steps of up and down in order.
"""
