# The image of muslin: no shell, no package manager, not root. scripts/image makes the same image without a daemon, and lists its content.
FROM rust:1.95-bookworm AS build
WORKDIR /muslin
COPY . .
RUN scripts/lookup-program /lookup-program \
 && MUSLIN_LOOKUP_PROGRAM=/lookup-program cargo build --locked --release \
 && scripts/image files target/release/muslin /image

FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/muslin"]
