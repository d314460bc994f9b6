"""Packs a folder as a tar whose bytes depend on nothing but names, contents and modes.

usage: archive.py FOLDER FILE   packs the files of FOLDER, without gzip if FILE ends with .tar
       archive.py --again FILE  packs a .tgz again in this way

The time of all entries is SOURCE_DATE_EPOCH.
"""

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def epoch():
    """The time of the commit, in seconds."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def tar(entries):
    """A tar of (name, content or None for a folder, whether executable), sorted, owned by root."""
    out = io.BytesIO()
    # GNU's format has no extended headers, so nothing depends on the version of Python.
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content, executable in sorted(entries, key=lambda entry: entry[0]):
            info = tarfile.TarInfo(name)
            info.mtime = epoch()
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755 if executable else 0o644
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def compress(data):
    """Gzip without a name and a time."""
    return gzip.compress(data, compresslevel=9, mtime=0)


def entries(folder, folders=True):
    """The files and folders below `folder`. Links are followed."""
    for root, names, files in os.walk(folder, followlinks=True):
        names.sort()
        here = Path(root)
        if folders and here != Path(folder):
            yield (here.relative_to(folder).as_posix(), None, True)
        for name in files:
            path = here / name
            yield (path.relative_to(folder).as_posix(), path.read_bytes(), path.stat().st_mode & 0o111 != 0)


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--again":
        path = Path(arguments[1])
        with tarfile.open(path) as archive:
            files = [member for member in archive if member.isfile()]
            found = [(member.name, archive.extractfile(member).read(), member.mode & 0o111 != 0) for member in files]
        path.write_bytes(compress(tar(found)))
    elif len(arguments) == 2:
        packed = tar(entries(arguments[0], folders=False))
        Path(arguments[1]).write_bytes(packed if arguments[1].endswith(".tar") else compress(packed))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
