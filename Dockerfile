# syntax=docker/dockerfile:1

FROM rust:1.89-slim-bookworm AS builder
# The OpenSSL of one dependency is built from source. Debian keeps no old versions that could be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential make perl pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Both caches are left out of the image, and so the program is copied to where it is not.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin synctv-stream \
    && install -D target/release/synctv-stream /out/synctv-stream

FROM debian:bookworm-slim
# For a Redis with TLS.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=builder /out/synctv-stream /usr/local/bin/synctv-stream
RUN install -d -o 10001 -g 10001 /var/lib/synctv-stream
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
ENV HLS_STORAGE=/var/lib/synctv-stream
EXPOSE 1935 8080 8081 9935
ENTRYPOINT ["synctv-stream"]
