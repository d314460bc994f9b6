"""Writes the addresses of the project into a copy of the chart: its home, its sources, and the image of the release.

usage: chart.py FOLDER
"""

import re
import sys
from pathlib import Path

import addresses
import notes


def replace(path, pattern, replacement):
    """Replaces exactly one place of a file."""
    text, count = re.subn(pattern, lambda _: replacement, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"chart: {path}: {count} places instead of one match {pattern}")
    path.write_text(text)


def main(folder):
    found = addresses.read()
    registry, repository = found["image"].rsplit("/", 1)
    home = found["repository"]
    replace(folder / "Chart.yaml", r"^# The chart has no address .*$", f"home: {home}\nsources:\n  - {home}")
    values = folder / "values.yaml"
    replace(values, r"^# No registry has the image\. .*$", "# The image of the release.")
    replace(values, r'^  registry: ""\n  repository: .*$', f"  registry: {registry}\n  repository: {repository}")
    readme = folder / "README.md"
    replace(
        readme,
        r"^## The image\n\n(?:.+\n)+",
        f"## The image\n\nThe values name the image of this release, `{found['image']}:{found['version']}`. For a mirror, set `image.registry`.\n",
    )
    readme.write_text(notes.with_links(readme.read_text(), f"{home}/blob/v{found['version']}/manifests/chart"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
