"""Fails if a file names another version than Cargo.toml.

usage: versions.py
"""

import re
import sys
from pathlib import Path

import addresses

ROOT = Path(__file__).parents[2]
# Files, and what stands before the version.
PLACES = [
    ("Cargo.lock", r'name = "kube-state-fleet"\nversion = "'),
    ("Dockerfile", r"ARG VERSION="),
    ("Dockerfile", r"docker build -t kube-state-fleet:"),
    ("manifests/chart/Chart.yaml", r"version: "),
    ("manifests/chart/Chart.yaml", r"appVersion: "),
    ("manifests/chart/README.md", r"kube-state-fleet:"),
    ("manifests/base/statefulset.yaml", r"image: kube-state-fleet:"),
    ("manifests/overlays/daemonset/daemonset.yaml", r"image: kube-state-fleet:"),
    ("manifests/overlays/daemonset/unscheduled.yaml", r"image: kube-state-fleet:"),
    ("manifests/overlays/single/deployment.yaml", r"image: kube-state-fleet:"),
]


def differences(version):
    """A line for each place with another version."""
    for file, before in PLACES:
        text = (ROOT / file).read_text()
        found = re.findall(rf"(?<!\w){before}(\d[\w.+-]*)", text)
        if not found:
            yield f'{file}: no version behind "{before}"'
        yield from (f"{file}: version {other} instead of {version}" for other in found if other != version)


if __name__ == "__main__":
    if lines := list(differences(addresses.read()["version"])):
        sys.exit("\n".join(lines))
