"""The addresses of the project, from Cargo.toml: the only place that has them.

usage: addresses.py KEY     prints `version`, `repository`, `image` or `chart`
       addresses.py --check fails if an address is a placeholder
"""

import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

KEYS = ("repository", "image", "chart")


def read():
    """The addresses and the version."""
    package = tomllib.loads((Path(__file__).parents[2] / "Cargo.toml").read_text())["package"]
    return {"version": package["version"], "repository": package["repository"], **package["metadata"]["release"]}


def placeholders(found):
    """The keys whose host ends with `.invalid`, a name that RFC 2606 reserves."""
    hosts = {key: urlsplit(found[key] if "://" in found[key] else f"//{found[key]}").hostname or "" for key in KEYS}
    return [key for key, host in hosts.items() if not host or host.endswith(".invalid")]


def main(arguments):
    found = read()
    if arguments == ["--check"]:
        if missing := placeholders(found):
            sys.exit(f"Cargo.toml: placeholders instead of addresses: {', '.join(missing)}")
    elif len(arguments) == 1 and arguments[0] in found:
        print(found[arguments[0]])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
