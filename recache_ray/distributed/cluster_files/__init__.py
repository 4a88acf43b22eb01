"""Checks of the files that describe a cluster, without a cloud: for ``ray up``, for KubeRay, for a job."""
