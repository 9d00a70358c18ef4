#!/usr/bin/env bash
# Runs the unit under a systemd of its own: systemd-nspawn boots this machine's
# system from an overlay, with no network but loopback, the gateway is installed
# in it as docs/operations.md says, and is started, reloaded, killed and stopped
# by systemctl. Nothing of this machine is changed.
#
# What cannot be seen here: control groups, where the machine's kernel gives
# memory and pids to the older hierarchy; the output says so.
set -eu -o pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "unit: run as root: it boots a container" >&2; exit 1; }

for p in systemctl swaks soffice; do
	command -v "$p" >/dev/null || { echo "unit: $p is missing: make deps, and a machine with systemd" >&2; exit 1; }
done
# Unpacked and not installed: it would bring another systemd with it.
nspawn=$PWD/.cache/nspawn/usr/bin/systemd-nspawn
if [ ! -x "$nspawn" ]; then
	mkdir -p .cache/nspawn/deb
	(cd .cache/nspawn/deb && apt-get update -qq && apt-get download -qq systemd-container && dpkg -x systemd-container*.deb ..) 2>/dev/null
fi

say() { echo "unit: $*"; }
die() { echo "unit: $*" >&2; exit 1; }

try=$(mktemp -d /tmp/sekisho-unit-XXXXXX)
root=$try/root
boot=
end() {
	if [ -n "$boot" ]; then
		inside systemctl poweroff >/dev/null 2>&1 || true
		for _ in $(seq 100); do
			kill -0 "$boot" 2>/dev/null || break
			sleep 0.2
		done
		kill -9 "$boot" 2>/dev/null || true
		wait "$boot" 2>/dev/null || true
	fi
	umount "$root" 2>/dev/null || true
	rm -rf "$try"
}
trap end EXIT

mkdir "$root" "$try/upper" "$try/work"
chmod 755 "$try" "$try/upper"
mount -t overlay overlay -o "lowerdir=/,upperdir=$try/upper,workdir=$try/work" "$root"

# A system with nothing of the host's in it that starts by itself.
rm -rf "$root"/etc/systemd/system/*.wants
: >"$root/etc/machine-id"
: >"$root/etc/fstab"
for u in systemd-timesyncd systemd-resolved systemd-networkd; do
	ln -sf /dev/null "$root/etc/systemd/system/$u.service"
done

# As docs/operations.md says.
install -m 0755 bin/sekishod bin/sekisho bin/sekisho-sanitizer "$root/usr/bin/"
head -c 32 /dev/urandom >"$root/root/site.key" # no /dev in there yet
chroot "$root" sh -euc '
	groupadd --system sekisho
	useradd --system --gid sekisho --home-dir /var/lib/sekisho --shell /usr/sbin/nologin sekisho
	install -d -m 0750 -o root -g sekisho /etc/sekisho
	install -m 0600 -o sekisho -g sekisho /root/site.key /etc/sekisho/site.key'
cat >"$root/etc/sekisho/sekisho.yaml" <<-YAML
	hostname: mx.town.example.lg.jp
	data_dir: /var/lib/sekisho
	store: { key_file: /etc/sekisho/site.key }
	listeners:
	  - { name: mx, zone: internet, listen: ["127.0.0.1:25"], peers: ["127.0.0.1"] }
	tenants:
	  - { id: town, domains: [town.example.lg.jp] }
	hops:
	  - { name: town-mail, network: local, hosts: ["127.0.0.1:9"] }
	routes:
	  - { domain: town.example.lg.jp, hop: town-mail }
	senders: { check: off }
	profiles:
	  - { name: default, legacy_office: [convert] }
YAML
chroot "$root" sh -euc 'chown root:sekisho /etc/sekisho/sekisho.yaml; chmod 0640 /etc/sekisho/sekisho.yaml'
install -m 0644 deploy/sekishod.service "$root/etc/systemd/system/"
# An rtf, so that LibreOffice works under the unit.
printf '{\\rtf1\\ansi The fire drill is on Friday.\\par}' >"$root/root/drill.rtf"

# Its own filter of system calls would stand before the unit's.
SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 "$nspawn" -q -D "$root" --boot --console=read-only \
	--private-network --register=no --keep-unit --machine=sekisho-unit >"$try/boot.log" 2>&1 </dev/null &
boot=$!
inside() {
	local first
	first=$(pgrep -P "$boot" | head -1)
	[ -n "$first" ] || return 1
	nsenter -t "$first" -m -u -i -n -p -C -- "$@"
}
as() { inside runuser -u sekisho -- "$@"; }
for _ in $(seq 150); do
	case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) break ;; esac
	sleep 0.2
done
inside systemctl is-system-running >"$try/state" 2>/dev/null || true
grep -q 'running\|degraded' "$try/state" || { tail -20 "$try/boot.log" >&2; die "systemd did not come up"; }
inside ip link set lo up
log() { inside journalctl -u sekishod -o cat --no-pager; }
trouble() { log | tail -30 >&2; die "$@"; }
say "$(inside systemctl --version | head -1) is up"

began=$(date +%s%N)
inside systemctl enable -q --now sekishod || trouble "the unit does not start"
say "started in $((($(date +%s%N) - began) / 1000000)) ms"
[ "$(inside systemctl show -p StatusText --value sekishod)" = "mail is taken in and treated" ] || trouble "the status is not the one of a gateway that treats mail"
# A start ends when the gateway listens: nothing waits here.
inside swaks --server 127.0.0.1:25 --from a@partner.example --to soumu@town.example.lg.jp --header "Subject: unit" --body hello --attach @/root/drill.rtf --silent 2 || trouble "no mail is taken"

as sekisho doctor >"$try/doctor" || { cat "$try/doctor" >&2; die "doctor fails"; }
! grep -q FAIL "$try/doctor" || { cat "$try/doctor" >&2; die "doctor fails"; }
grep -qE 'pass  isolation in the service +landlock ([1-9][0-9]*) of \1, empty root, signals scoped, threads limited' "$try/doctor" || { grep 'in the service' "$try/doctor" >&2; die "a layer of the isolation is missing under the unit"; }
say "doctor: $(grep -c '^pass' "$try/doctor") pass, 0 FAIL; $(sed -n 's/^pass  //; s/isolation in the service  */in the service /p' "$try/doctor" | grep '^in the service')"
! log | grep 'try the binary in memory\|try a common network\|try a cell' >&2 || die "workers cannot start from memory and in cells under the unit"
say "control groups: $(log | grep -o 'no delegated cgroup v2[^"]*' | head -1 || true)"

for _ in $(seq 300); do
	as sekisho --json queue list >"$try/queue"
	! grep -q '"state":"Queued"' "$try/queue" || break
	sleep 0.2
done
grep -q '"state":"Queued"' "$try/queue" || trouble "the mail is not treated"
as sekisho trace soumu@town.example.lg.jp >"$try/trace"
grep -q 'ooxml' "$try/trace" || { cat "$try/trace" >&2; die "the document was not converted under the unit"; }
say "a mail treated, its rtf converted by LibreOffice"

echo 'nonsense: true' >>"$root/etc/sekisho/sekisho.yaml"
! inside systemctl reload sekishod 2>/dev/null || die "a reload of a wrong file succeeds"
inside systemctl is-active -q sekishod || trouble "a reload of a wrong file ended the gateway"
sed -i '$d' "$root/etc/sekisho/sekisho.yaml"
inside systemctl reload sekishod || trouble "no reload"
say "a reload of a wrong file fails and changes nothing, one of a right file succeeds"

was=$(inside systemctl show -p MainPID --value sekishod)
inside systemctl kill -s KILL --kill-whom=main sekishod
for _ in $(seq 300); do
	now=$(inside systemctl show -p MainPID --value sekishod)
	[ "$now" = "$was" ] || [ "$now" = 0 ] || [ "$(inside systemctl is-active sekishod || true)" != active ] || break
	sleep 0.1
done
[ "$now" != "$was" ] && [ "$now" != 0 ] || trouble "a killed gateway is not started again"
as sekisho --json queue list | grep -q '"state":"Queued"' || trouble "a killed gateway has lost its mail"
say "killed, started again by systemd, the mail is there"

began=$(date +%s%N)
inside systemctl stop sekishod
[ "$(inside systemctl show -p Result --value sekishod)" = success ] || trouble "the gateway does not end well"
left=$(inside pgrep -u sekisho -a || true)
[ -z "$left" ] || die "left over: $left"
say "stopped in $((($(date +%s%N) - began) / 1000000)) ms, no process left"

echo 'nonsense: true' >>"$root/etc/sekisho/sekisho.yaml"
! inside systemctl start sekishod 2>/dev/null || die "a start with a wrong file succeeds"
[ "$(inside systemctl is-active sekishod || true)" = failed ] || die "a start with a wrong file is tried again and again"
say "a start with a wrong file fails, once; well"
