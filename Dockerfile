# Two stages: build without cgo, run as nobody in particular. The image needs a
# runtime that allows user namespaces: Docker's default seccomp profile does
# not, and then the gateway takes mail in, keeps it and treats none (doctor
# says so). Run it with --read-only, --tmpfs /tmp, --cap-drop=ALL, a volume on
# /var/lib/sekisho, and a seccomp profile that allows clone and unshare with
# CLONE_NEWUSER, mount, umount2 and pivot_root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG COMMIT=unknown
RUN make build VERSION="$VERSION" COMMIT="$COMMIT"

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
    libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui libreoffice-draw-nogui qpdf poppler-utils poppler-data fonts-noto-cjk \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 65532 sekisho \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/sekisho --shell /usr/sbin/nologin sekisho \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/sekisho
COPY --from=build /src/bin/ /usr/bin/
USER 65532:65532
VOLUME /var/lib/sekisho
EXPOSE 2525 10025
HEALTHCHECK --interval=30s --timeout=10s CMD ["/usr/bin/sekisho", "doctor"]
ENTRYPOINT ["/usr/bin/sekishod", "--config", "/etc/sekisho/sekisho.yaml"]
