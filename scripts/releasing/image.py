"""Writes and checks the OCI layout of the image, without a container engine.

usage: image.py write LAYOUT REVISION ARCHITECTURE=ROOT...
       image.py check [--any-size] LAYOUT [ARCHITECTURE...]

`write` makes one image of each root file system, with user, ports, entry point and labels of the Dockerfile, below one index.
`check` reads the layout as a registry's client does: digests, sizes and media types, and that each image has the right user and
files, and a static program for its platform. SOURCE_DATE_EPOCH is the time of everything.
"""

import gzip
import hashlib
import io
import json
import re
import shutil
import struct
import sys
import tarfile
from datetime import datetime, timezone
from pathlib import Path

import addresses
import archive

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PROGRAM = "kube-state-fleet"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
LICENSES = {"licenses/LICENSE", "licenses/THIRD-PARTY.txt.gz"}
# Limit of the files of an image.
MOST_BYTES = 25_000_000
# ELF's numbers of machines.
MACHINES = {"amd64": 62, "arm64": 183}


def dockerfile():
    """User, ports, entry point and labels of the last stage, with the values of its arguments."""
    text = (Path(__file__).parents[2] / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    found = {"labels": {}, "arguments": {}}
    for line in lines[last + 1 :]:
        word, _, rest = line.partition(" ")
        if word == "USER":
            found["user"] = rest.strip()
        elif word == "EXPOSE":
            found["ports"] = {f"{port}/tcp": {} for port in rest.split()}
        elif word == "ENTRYPOINT":
            found["entrypoint"] = json.loads(rest)
        elif word == "ARG":
            name, _, value = rest.strip().partition("=")
            found["arguments"][name] = value
        elif word == "LABEL":
            found["labels"].update(re.findall(r'(\S+)="([^"]*)"', rest))
    return found


def created():
    """The time of the image as RFC 3339."""
    return datetime.fromtimestamp(archive.epoch(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(value):
    """JSON whose bytes depend on the value alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def put(layout, content, media_type, **more):
    """Stores a blob, and returns its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}


def write(layout, revision, roots):
    """Writes the layout. `roots` has a root file system for each architecture."""
    shutil.rmtree(layout, ignore_errors=True)
    (layout / "blobs/sha256").mkdir(parents=True)
    found, known = dockerfile(), addresses.read()
    arguments = {
        **found["arguments"],
        "VERSION": known["version"],
        "REVISION": revision,
        "CREATED": created(),
        "SOURCE": known["repository"],
    }
    labels = {name: re.sub(r"\$\{(\w+)\}", lambda use: arguments[use[1]], value) for name, value in found["labels"].items()}
    images = []
    for architecture, root in sorted(roots.items()):
        tar = archive.tar(list(archive.entries(root)))
        config = {
            "created": created(),
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": found["user"],
                "ExposedPorts": found["ports"],
                "Entrypoint": found["entrypoint"],
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "history": [{"created": created(), "created_by": "scripts/release"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": put(layout, encode(config), CONFIG),
            "layers": [put(layout, archive.compress(tar), LAYER)],
            "annotations": labels,
        }
        images.append(put(layout, encode(manifest), MANIFEST, platform={"architecture": architecture, "os": "linux"}))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": labels}
    # A layout names one image, which is the index of all platforms.
    named = put(layout, encode(index), INDEX, annotations={"org.opencontainers.image.ref.name": known["version"]})
    (layout / "index.json").write_bytes(encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}))
    (layout / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))


class Invalid(Exception):
    """The layout is not what a release needs."""


def need(condition, message):
    """Raises unless the condition holds."""
    if not condition:
        raise Invalid(message)


def get(layout, descriptor, media_type):
    """The content of a blob that matches its descriptor."""
    need(descriptor["mediaType"] == media_type, f"media type {descriptor['mediaType']} instead of {media_type}")
    algorithm, _, digest = descriptor["digest"].partition(":")
    need(algorithm == "sha256" and re.fullmatch("[0-9a-f]{64}", digest), f"digest {descriptor['digest']}")
    path = layout / "blobs/sha256" / digest
    need(path.is_file(), f"blob {digest} is missing")
    content = path.read_bytes()
    need(len(content) == descriptor["size"], f"blob {digest} has {len(content)} bytes instead of {descriptor['size']}")
    need(hashlib.sha256(content).hexdigest() == digest, f"blob {digest} has another digest")
    return content


def check_program(content, architecture):
    """A static ELF program for the architecture."""
    need(content[:6] == b"\x7fELF\x02\x01", "the program is not a 64-bit ELF file")
    machine = struct.unpack_from("<H", content, 18)[0]
    need(machine == MACHINES[architecture], f"the program is for machine {machine}, not for {architecture}")
    (start,), (size, count) = struct.unpack_from("<Q", content, 32), struct.unpack_from("<HH", content, 54)
    kinds = [struct.unpack_from("<I", content, start + number * size)[0] for number in range(count)]
    need(kinds, "the program has no segments")
    # PT_INTERP: the path of a loader.
    need(3 not in kinds, "the program is not static: it needs a loader")


def check_image(layout, descriptor):
    """One image. Returns its architecture and the size of its files."""
    manifest = json.loads(get(layout, descriptor, MANIFEST))
    config = json.loads(get(layout, manifest["config"], CONFIG))
    architecture = config["architecture"]
    need(architecture in MACHINES, f"architecture {architecture}")
    platform = {"architecture": architecture, "os": "linux"}
    need(descriptor["platform"] == platform and config["os"] == "linux", f"the index has another platform for {architecture}")
    wanted, settings = dockerfile(), config["config"]
    for key, name in (("User", "user"), ("ExposedPorts", "ports"), ("Entrypoint", "entrypoint")):
        need(settings.get(key) == wanted[name], f"{key} is {settings.get(key)}, in the Dockerfile {wanted[name]}")
    need(re.fullmatch(r"[1-9]\d*:[1-9]\d*", settings["User"]), f"user {settings['User']} is not an unprivileged number")
    labels = settings.get("Labels", {})
    need(set(labels) == set(wanted["labels"]), f"labels {sorted(labels)}")
    need(labels["org.opencontainers.image.version"] == addresses.read()["version"], "the label of the version")
    diffs = []
    files = {}
    for layer in manifest["layers"]:
        tar = gzip.decompress(get(layout, layer, LAYER))
        diffs.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
        with tarfile.open(fileobj=io.BytesIO(tar)) as entries:
            for entry in entries:
                name, mode = entry.name, 0o755 if entry.isdir() or entry.name == PROGRAM else 0o644
                need((entry.uid, entry.gid) == (0, 0), f"{name} belongs to {entry.uid}:{entry.gid}, not to root")
                need(entry.mode == mode, f"{name} has mode {entry.mode:o} instead of {mode:o}")
                need(entry.isfile() or entry.isdir(), f"{name} is neither a file nor a folder")
                if entry.isfile():
                    files[name] = entries.extractfile(entry).read()
    need(config["rootfs"] == {"type": "layers", "diff_ids": diffs}, "diff_ids do not match the layers")
    need(set(files) == {PROGRAM, CERTIFICATES} | LICENSES, f"the image has the files {sorted(files)}")
    need(all(files.values()), "a file is empty")
    check_program(files[PROGRAM], architecture)
    size = sum(map(len, files.values()))
    return architecture, size


def check(layout, architectures, limit=True):
    """The whole layout. Returns the size of the files of each architecture."""
    need(json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}, "oci-layout")
    outer = json.loads((layout / "index.json").read_text())
    need(len(outer["manifests"]) == 1, "index.json does not name exactly one image")
    index = json.loads(get(layout, outer["manifests"][0], INDEX))
    sizes = dict(check_image(layout, descriptor) for descriptor in index["manifests"])
    need(sizes and len(sizes) == len(index["manifests"]), "no image, or several for one platform")
    need(not architectures or set(sizes) == set(architectures), f"images for {sorted(sizes)} instead of {sorted(architectures)}")
    for architecture, size in sizes.items():
        need(not limit or size < MOST_BYTES, f"{architecture}: {size} bytes of files; the limit is {MOST_BYTES}")
    blobs = len(list((layout / "blobs/sha256").iterdir()))
    need(blobs == 1 + 3 * len(sizes), f"{blobs} blobs, of which some are not used")
    return sizes


def main(arguments):
    limit = "--any-size" not in arguments
    match [argument for argument in arguments if argument != "--any-size"]:
        case ["write", layout, revision, *roots] if roots and all("=" in root for root in roots):
            write(Path(layout), revision, dict(root.split("=", 1) for root in roots))
        case ["check", layout, *architectures]:
            try:
                sizes = check(Path(layout), architectures, limit)
            except (Invalid, OSError, ValueError, KeyError, struct.error) as error:
                sys.exit(f"image: {layout}: {error}")
            for architecture, size in sorted(sizes.items()):
                print(f"{layout}: linux/{architecture}, {size} bytes of files, user {dockerfile()['user']}")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
