# The image: one static program, on an empty base image, run as an unprivileged user.
#
# Build:  docker build -t kube-state-fleet:0.1.0 --build-arg REVISION="$(git rev-parse --short HEAD)" .
#
# scripts/image-rootfs --check runs the program in its root file system without a container engine, and scripts/release makes the same
# image as an OCI layout. The build in a container has not been tried.
#
# The digest is that of the index, for all platforms. It was taken from other public projects that pin this tag, and not read from
# the registry: docs/releasing.md says how to check and renew it.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
# jemalloc needs make, the list of licenses Python. The certificates become those of the image.
RUN apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates make python3 && rm -rf /var/lib/apt/lists/*
# Writes the list of dependencies into the program.
RUN cargo install --quiet --locked --version 0.7.7 cargo-auditable
WORKDIR /src
COPY rust-toolchain.toml Cargo.toml Cargo.lock LICENSE ./
COPY src ./src
COPY scripts/image-rootfs scripts/licenses ./scripts/
ARG REVISION=unknown
RUN KUBE_STATE_FLEET_REVISION="${REVISION}" scripts/image-rootfs /rootfs

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="kube-state-fleet" \
      org.opencontainers.image.description="kube-state-metrics as a horizontally sharded fleet of exporters" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /rootfs /
USER 65532:65532
EXPOSE 8080 8081 8082
ENTRYPOINT ["/kube-state-fleet"]
