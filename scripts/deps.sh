#!/usr/bin/env bash
# Installs the Debian packages that the product uses and, unless called as
# `deps.sh tools`, those that the tests use; of both what the machine lacks.
# For the tests it unpacks other people's servers into .cache/peers: Postfix,
# Exim, clamd and rspamd. None of them is ever installed: apt would start it,
# evict the machine's own, and two of them exclude each other.
set -eu -o pipefail
cd "$(dirname "$0")/.."

# What a gateway runs beside itself, each time in a sandbox: without them
# office documents are rebuilt all the same; nothing is drawn or converted, and
# PDF, which two of them judge, waits.
want=(libheif-examples libjxl-tools libopenjp2-tools ghostscript poppler-utils poppler-data qpdf libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui libreoffice-math-nogui fonts-noto-cjk)
[ "${1-}" = tools ] || want+=(swaks libnet-ssleay-perl openssl python3
	strace # watches what converters open and call
	bubblewrap # runs a scanner's command
	netpbm librsvg2-bin # write and draw pictures beside ours
	libicu72 libdb5.3 libsasl2-2 libnsl2 # libraries of Postfix
	libclamav12 libncurses6 libcurl4 # of clamd
	libhyperscan5 libluajit2-5.1-2 libunwind8 libsodium23 libglib2.0-0 libsqlite3-0 # of rspamd
	libgnutls-dane0 libidn12 libpcre2-8-0) # of Exim
missing=()
for p in "${want[@]}"; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
if [ ${#missing[@]} -gt 0 ]; then
	echo "installing ${missing[*]}" >&2
	"${sudo[@]}" apt-get update -qq
	DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

[ "${1-}" != tools ] || exit 0

peers=.cache/peers
updated=
# unpack PACKAGE FILE: unless FILE is there already.
unpack() {
	[ ! -x "$peers/$2" ] || return 0
	echo "deps: unpacking $1 into $peers" >&2
	mkdir -p "$peers/deb"
	[ -n "$updated" ] || "${sudo[@]}" apt-get update -qq
	updated=1
	(cd "$peers/deb" && apt-get download -qq "$1")
	for d in "$peers/deb/$1"_*.deb; do dpkg -x "$d" "$peers"; done
	[ -x "$peers/$2" ] || { echo "deps: $1 could not be unpacked" >&2; exit 1; }
}
unpack postfix usr/sbin/smtp-source
unpack exim4-base usr/sbin/exicyclog
unpack exim4-daemon-light usr/sbin/exim4
unpack clamav-daemon usr/sbin/clamd
unpack rspamd usr/bin/rspamd
