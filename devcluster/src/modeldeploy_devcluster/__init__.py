"""
A real Kubernetes for modeldeploy's tests and demo, with or without Docker.

`cli` is the door. It asks `kind` whether a Docker engine answers; without one the rooms of
`embedded` run Kubernetes in namespaces of their own. `toolchain` builds the programs from pinned
Go modules, `packages` installs what Debian provides, and `images` builds the project's images.
Only the standard library is used, because this runs before anything else is installed.
"""
