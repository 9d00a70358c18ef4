#!/usr/bin/env bash
# Installs the Debian packages that the tests use and the machine lacks, and
# unpacks Postfix's load generator and sink into .cache/peers. Postfix itself
# is never installed: apt would start it and evict the machine's own.
set -eu -o pipefail
cd "$(dirname "$0")/.."

want=(poppler-utils poppler-data qpdf libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui fonts-noto-cjk swaks libnet-ssleay-perl openssl python3
	libicu72 libdb5.3 libsasl2-2) # the last three: libraries of smtp-source
missing=()
for p in "${want[@]}"; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
if [ ${#missing[@]} -gt 0 ]; then
	echo "deps: installing ${missing[*]}" >&2
	"${sudo[@]}" apt-get update -qq
	DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

peers=.cache/peers
if [ ! -x "$peers/usr/sbin/smtp-source" ]; then
	echo "deps: unpacking smtp-source and smtp-sink into $peers" >&2
	mkdir -p "$peers/deb"
	"${sudo[@]}" apt-get update -qq
	(cd "$peers/deb" && apt-get download -qq postfix)
	for d in "$peers"/deb/postfix_*.deb; do dpkg -x "$d" "$peers"; done
fi
[ -x "$peers/usr/sbin/smtp-source" ] || { echo "deps: smtp-source could not be unpacked" >&2; exit 1; }
