# The image of muslin: one static program and certificate authorities; no shell, no package manager, not root. scripts/image makes the
# same image without a daemon, and scripts/release that of all architectures. With BuildKit:
#
#     docker buildx build --platform linux/amd64,linux/arm64 --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" .
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /muslin
COPY . .
ARG TARGETARCH
ARG COMMIT=unknown
RUN MUSLIN_COMMIT=$COMMIT scripts/build "$TARGETARCH" /built/muslin \
 && scripts/image files /built/muslin /image

FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/muslin"]
