"""What pip and uv build this project with: setuptools, for an editable install only.

A copy in site-packages would have neither the published numbers nor a place for results.
"""
import sys

from setuptools.build_meta import *  # noqa: F403


def build_wheel(*_, **__) -> str:
    """Refuse a copy, in one line."""
    sys.exit('error: this project is used from its checkout, where its results are: '
             'pip install -e . (or make run)')


build_sdist = build_wheel
