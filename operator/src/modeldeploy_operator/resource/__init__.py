"""
The ModelDeployment as types: a pure room.

`spec` is what a user may write, `status` what the operator reports, `crd` makes the schema of both,
`revisions` tells which edits reach a serving pod.
"""

GROUP = "serving.modeldeploy.io"
VERSION = "v1alpha1"
PLURAL = "modeldeployments"
KIND = "ModelDeployment"
API_VERSION = f"{GROUP}/{VERSION}"
ACTION_ANNOTATION = f"{GROUP}/action"
