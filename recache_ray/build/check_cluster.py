"""The verb ``check-cluster``: what stands between a cluster file and use."""

from __future__ import annotations

from pathlib import Path

from recache_ray.config.root import Config


def check_cluster(config: Config) -> tuple[str, bool]:
    """Check ``cluster.file``; text, and whether the file can be used as it is.

    Raises:
        BadInputError: if it cannot be read or is no cluster file.
    """
    from recache_ray.distributed.cluster_files.check import check_cluster_file

    report = check_cluster_file(Path(config.cluster.file))
    lines = [f"{config.cluster.file}: {report.kind}", *(f"  {node}" for node in report.nodes)]
    if report.problems:
        lines += ["would not work:", *(f"  {problem}" for problem in report.problems)]
    if report.to_do:
        lines += ["left to do:", *(f"  {item}" for item in report.to_do)]
    return "\n".join([*lines, "ready to use"] if report.ready else lines), report.ready
