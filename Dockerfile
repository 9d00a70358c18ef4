# Two stages: build without cgo, run as nobody in particular. The image needs a
# runtime that allows user namespaces: Docker's default seccomp profile does
# not, and then the gateway takes mail in, keeps it and treats none (doctor
# says so). deploy/seccomp.json is one that does; docs/operations.md has the
# whole command. `make image` builds this file and tries the result.
#
# --build-arg TOOLS= leaves the converters out: what they would treat is kept
# back with a notice, and the image is a third of a gigabyte instead of one.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG COMMIT=unknown
RUN make build VERSION="$VERSION" COMMIT="$COMMIT"

FROM debian:bookworm-slim
ARG TOOLS="libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui libreoffice-draw-nogui libreoffice-math-nogui qpdf poppler-utils poppler-data libheif-examples libjxl-tools libopenjp2-tools ghostscript fonts-noto-cjk"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates $TOOLS \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 65532 sekisho \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/sekisho --shell /usr/sbin/nologin sekisho \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/sekisho \
 && install -d -m 0755 /etc/sekisho
COPY --from=build /src/bin/ /usr/bin/
USER 65532:65532
VOLUME /var/lib/sekisho
EXPOSE 2525 10025
HEALTHCHECK --interval=30s --timeout=10s CMD ["/usr/bin/sekisho", "doctor"]
ENTRYPOINT ["/usr/bin/sekishod", "--config", "/etc/sekisho/sekisho.yaml"]
