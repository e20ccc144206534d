"""
``modeldeploy-server fetch``: gets one version from a storage onto a disk, whole or not at all.

It runs in the init container of a serving pod, which alone holds the storage's credentials, and
says in one JSON object what came of it.  It never imports TensorFlow.
"""
