"""Prints the krew manifest of the kubectl plugin `ksf` for the archives of a release.

usage: krew.py FOLDER

FOLDER has the archives kube-state-fleet_VERSION_linux_ARCHITECTURE.tar.gz.
"""

import hashlib
import json
import sys
from pathlib import Path

import addresses


def platform(archive, base):
    """The entry of one archive."""
    architecture = archive.name.removesuffix(".tar.gz").rsplit("_", 1)[1]
    return {
        "selector": {"matchLabels": {"os": "linux", "arch": architecture}},
        "uri": f"{base}/{archive.name}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "files": [{"from": "kube-state-fleet", "to": "kubectl-ksf"}, {"from": "licenses/*", "to": "."}],
        "bin": "kubectl-ksf",
    }


def manifest(folder, found):
    """The manifest as an object."""
    version = found["version"]
    archives = sorted(Path(folder).glob(f"kube-state-fleet_{version}_linux_*.tar.gz"))
    if not archives:
        sys.exit(f"krew: no archives of version {version} in {folder}")
    base = f"{found['repository']}/releases/download/v{version}"
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "ksf"},
        "spec": {
            "version": f"v{version}",
            "homepage": found["repository"],
            "shortDescription": "Inspect metrics of cluster objects",
            "description": "Shows the replicas of a kube-state-fleet and what a handover waits for (status), verifies that each\n"
            "object of the cluster is served exactly once (verify), and estimates series, bytes and replicas\n"
            "before a rollout (estimate).\n",
            "caveats": "The commands read the kubeconfig of kubectl. Try: kubectl ksf estimate\n",
            "platforms": [platform(archive, base) for archive in archives],
        },
    }


def yaml(value, indent=0):
    """Lines of YAML for maps, lists and texts. JSON's quotes are valid in YAML."""
    space = "  " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and item.endswith("\n"):
                yield f"{space}{key}: |"
                yield from (f"{space}  {line}" for line in item.splitlines())
            elif isinstance(item, (dict, list)):
                yield f"{space}{key}:"
                yield from yaml(item, indent + 1)
            else:
                yield f"{space}{key}: {json.dumps(item)}"
    else:
        for item in value:
            first, *rest = yaml(item, indent + 1)
            yield f"{space}- {first.strip()}"
            yield from rest


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(yaml(manifest(sys.argv[1], addresses.read()))))
