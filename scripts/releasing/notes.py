"""Prints the section of a version in CHANGELOG.md: the notes of a release.

usage: notes.py VERSION [--unreleased] < CHANGELOG.md
  --unreleased   also accepts a heading that ends with "(unreleased)"

Links to files of the repository become links to the tag, below the address of Cargo.toml.
"""

import re
import sys

import addresses


def section(changelog, version, unreleased):
    """The text below the heading `## VERSION (DATE)`. Raises ValueError with what to do."""
    parts = re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]
    for part in parts:
        heading, _, body = part.partition("\n")
        name, _, when = heading.strip().partition(" ")
        if name != version:
            continue
        if not unreleased and not re.fullmatch(r"\(\d{4}-\d{2}-\d{2}\)", when):
            raise ValueError(f'CHANGELOG.md: the heading of {version} must end with a date: "## {version} (2026-01-31)", not "{when}"')
        if not body.strip():
            raise ValueError(f"CHANGELOG.md: the section of {version} is empty")
        return body.strip() + "\n"
    raise ValueError(f'CHANGELOG.md: no section "## {version}"; it has {", ".join(part.split()[0] for part in parts if part.split())}')


def with_links(text, base):
    """Makes links to files absolute. Links within the page and to other sites stay."""
    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", lambda found: f"]({base}/{found[1]})", text)


def main(arguments):
    unreleased = "--unreleased" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    if len(names) != 1:
        sys.exit(__doc__)
    try:
        text = section(sys.stdin.read(), names[0], unreleased)
    except ValueError as error:
        sys.exit(f"notes: {error}")
    print(with_links(text, f"{addresses.read()['repository']}/blob/v{names[0]}"), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
