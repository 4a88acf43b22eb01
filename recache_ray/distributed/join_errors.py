"""Why a cluster could not be joined, with the remedy that fits."""

from __future__ import annotations

import re

from recache_ray.tracking.names import without_secrets

_SAME_TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the token of its head"
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


def why_not_joined(error: BaseException) -> str:
    """Reason and remedy in one line, without any token.

    Ray's errors differ in class by the way of joining, so their texts are read.
    """
    text = without_secrets(" ".join(str(error).split()))
    if "no authentication token was found" in text or "find an authentication token" in text:
        return f"there is no token here; {_SAME_TOKEN}"
    if type(error).__name__ == "AuthenticationError" or "uthentication token" in text:
        refused = "wrong authentication token" in text or "Authentication failed" in text
        sent = refused or not ("is currently" in text or "token sent" in text)
        what = "refuses the token from here" if sent else "asks for a token"
        return f"the cluster {what}; {_SAME_TOKEN}"
    versions = _VERSIONS.findall(text)
    if "ersion mismatch" in text and len(versions) == 2:
        (cluster_ray, cluster_python), (ray, python) = versions
        return (
            f"it has Ray {cluster_ray} and Python {cluster_python}, this process Ray {ray} and Python {python}; "
            "use the same on both, as in constraints.txt"
        )
    return f"no Ray cluster can be joined there ({text[:200]}); start one with ray start --head, or leave it empty"
