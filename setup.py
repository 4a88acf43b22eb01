"""Puts conf/ into the wheel as recache_ray/conf; everything else about the build is in pyproject.toml."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["recache_ray*"]), "recache_ray.conf"],
    package_dir={"recache_ray.conf": "conf"},
)
