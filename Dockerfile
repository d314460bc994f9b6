# The image: one binary on a base without a shell, run by a user who is not root.
# Build:  docker build -t kube-state-fleet:0.1.0 .
FROM rust:1.95.0-slim-bookworm AS build
# jemalloc is built with make, and for the largest pages of arm64, so that it runs with every page size.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY rust-toolchain.toml Cargo.toml Cargo.lock ./
COPY src ./src
RUN if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi && \
    cargo build --release --locked && strip target/release/kube-state-fleet

FROM gcr.io/distroless/cc-debian12:nonroot
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kube-state-fleet" \
      org.opencontainers.image.description="kube-state-metrics as a horizontally sharded fleet of exporters" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /src/target/release/kube-state-fleet /kube-state-fleet
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/kube-state-fleet"]
