#!/usr/bin/env bash
# Builds the Dockerfile with buildah and tries the result: not a linter's
# opinion, but the three binaries at work in the image. No registry is asked:
# the names in FROM are given to a base that debootstrap makes.
#
# In the image, entered by pivot_root (bubblewrap) as uid 65532 with a
# read-only root, doctor and a mail must succeed, with deploy/seccomp.json on
# top as well. Under plain chroot, and under a filter like Docker's default,
# the kernel gives no user namespaces: there the gateway must say so, and keep
# the mail.
#
# TOOLS= leaves the converters out (the default here: they take minutes to
# install); make image TOOLS=all builds with those of the Dockerfile.
set -eu -o pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "image: run as root: debootstrap and buildah's chroot need it" >&2; exit 1; }

missing=()
for p in buildah debootstrap bubblewrap python3-seccomp swaks; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "image: installing ${missing[*]}" >&2
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$PWD/.cache/image
mkdir -p "$work"
b() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver "${STORAGE_DRIVER:-overlay}" "$@"; }
say() { echo "image: $*"; }
since() { echo "$(($(date +%s) - $1)) s"; }
die() { echo "image: $*" >&2; exit 1; }

base=$work/base
begin=$(date +%s)
if [ ! -e "$base.done" ]; then
	rm -rf "$base"
	debootstrap --variant=minbase --include=ca-certificates bookworm "$base" >"$work/debootstrap.log" || { tail -5 "$work/debootstrap.log" >&2; exit 1; }
	touch "$base.done"
	say "base by debootstrap in $(since "$begin")"
fi
debian=docker.io/library/debian:bookworm-slim
golang=docker.io/library/golang:1.26-bookworm
if ! b inspect --type image "$debian" >/dev/null 2>&1; then
	c=$(b from scratch)
	b add -q "$c" "$base" / >/dev/null
	b commit -q "$c" "$debian" >/dev/null
	b rm "$c" >/dev/null
fi
if ! b inspect --type image "$golang" >/dev/null 2>&1; then
	c=$(b from --pull-never "$debian")
	b run --isolation chroot "$c" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends make >/dev/null'
	b add -q "$c" "$(go env GOROOT)" /usr/local/go >/dev/null
	# The modules are those that this machine has, checked against go.sum.
	b config --env PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin --env GOTOOLCHAIN=local --env GOMODCACHE=/go/pkg/mod --env GOPROXY=off "$c"
	b commit -q "$c" "$golang" >/dev/null
	b rm "$c" >/dev/null
fi

begin=$(date +%s)
args=(--build-arg "VERSION=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)" --build-arg "COMMIT=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)")
[ "${TOOLS:-}" = all ] || args+=(--build-arg TOOLS=)
go mod download
b build -q --format docker --isolation chroot --pull-never --layers=false "${args[@]}" \
	--volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/root/.cache/go-build" \
	--tag sekisho . >/dev/null
say "built in $(since "$begin")"

c=$(b from --pull-never localhost/sekisho)
root=$(b mount "$c")
say "$(du -sm "$root" | cut -f1) MB"
b inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Entrypoint}} {{.Docker.Config.Healthcheck}}' localhost/sekisho | grep -q '^65532:65532 \[/usr/bin/sekishod.*/usr/bin/sekisho doctor' || die "user, entry point or health check are not those of the Dockerfile"

try=$(mktemp -d /tmp/sekisho-image-XXXXXX)
pids=()
end() {
	# A function in the background is a shell with the program below it.
	for p in "${pids[@]}"; do pkill -P "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	# The gateway in the chroot takes its time to drain.
	for _ in $(seq 100); do
		if ! mountpoint -q "$try/root" || umount -R "$try/root" 2>/dev/null; then break; fi
		sleep 0.2
	done
	b umount "$c" >/dev/null 2>&1 || true
	b rm "$c" >/dev/null 2>&1 || true
	rm -rf "$try"
}
trap end EXIT
chmod 755 "$try"
mkdir "$try/root" "$try/etc"
mount --bind "$root" "$try/root"
cat >"$try/etc/sekisho.yaml" <<-YAML
	hostname: mx.town.example.lg.jp
	listeners:
	  - { name: mx, zone: internet, listen: ["127.0.0.1:0"], peers: ["127.0.0.1"] }
	tenants:
	  - { id: town, domains: [town.example.lg.jp] }
	hops:
	  - { name: town-mail, network: local, hosts: ["127.0.0.1:9"] }
	routes:
	  - { domain: town.example.lg.jp, hop: town-mail }
	senders: { check: off }
	metrics: { listen: "" }
YAML

# The profile as a program for the kernel, and one that forbids namespaces as
# Docker's default does.
/usr/bin/python3 - deploy/seccomp.json "$try/ours.bpf" "$try/docker.bpf" <<-'PY'
	import errno, json, seccomp, sys
	profile = json.load(open(sys.argv[1]))
	ops = {"SCMP_CMP_EQ": seccomp.EQ, "SCMP_CMP_NE": seccomp.NE, "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ}
	actions = {"SCMP_ACT_ALLOW": seccomp.ALLOW}
	assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
	f = seccomp.SyscallFilter(seccomp.ERRNO(profile.get("defaultErrnoRet", errno.EPERM)))
	unknown = []
	for rule in profile["syscalls"]:
	    action = seccomp.ERRNO(rule["errnoRet"]) if rule["action"] == "SCMP_ACT_ERRNO" else actions[rule["action"]]
	    for name in rule["names"]:
	        args = []
	        for a in rule.get("args", []):
	            op = ops[a["op"]]
	            args.append(seccomp.Arg(a["index"], op, a["value"], a["valueTwo"]) if op == seccomp.MASKED_EQ else seccomp.Arg(a["index"], op, a["value"]))
	        try:
	            f.add_rule(action, name, *args)
	        except (RuntimeError, ValueError, OSError):
	            unknown.append(name) # newer than this machine's libseccomp, or of another architecture
	f.export_bpf(open(sys.argv[2], "wb"))
	print("image: deploy/seccomp.json:", sum(len(r["names"]) for r in profile["syscalls"]), "calls; not known here:", " ".join(unknown) or "none")
	NEW = 0x7e020000 # CLONE_NEW*
	f = seccomp.SyscallFilter(seccomp.ALLOW)
	for bit in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x04000000, 0x08000000, 0x02000000):
	    f.add_rule(seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, bit, bit))
	f.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
	for name in ("unshare", "setns", "mount", "umount2", "pivot_root"):
	    f.add_rule(seccomp.ERRNO(errno.EPERM), name)
	f.export_bpf(open(sys.argv[3], "wb"))
PY

# inside NAME [FILTER] -- COMMAND: in the image by pivot_root, as uid 65532,
# with a read-only root and data of its own.
inside() {
	local name=$1 filter=/dev/null args=()
	shift
	if [ "$1" != -- ]; then
		filter=$1
		args=(--seccomp 9)
		shift
	fi
	shift
	mkdir -p "$try/$name"
	chown 65532:65532 "$try/$name"
	setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs \
		bwrap --unshare-user --unshare-pid --die-with-parent --uid 65532 --gid 65532 --cap-drop ALL --clearenv --setenv PATH /usr/bin --setenv HOME / --setenv LANG C.UTF-8 \
		--ro-bind "$try/root" / --bind "$try/$name" /var/lib/sekisho --ro-bind "$try/etc" /etc/sekisho --tmpfs /tmp --proc /proc --dev /dev --chdir / \
		"${args[@]}" -- "$@" 9<"$filter"
}

# chrooted NAME COMMAND: the same without pivot_root.
chrooted() {
	local name=$1
	shift
	mkdir -p "$try/$name"
	chown 65532:65532 "$try/$name"
	chroot --userspec=65532:65532 "$try/root" /usr/bin/env -i PATH=/usr/bin HOME=/ LANG=C.UTF-8 "$@"
}

# started LOG: waits until a gateway listens, and prints where.
started() {
	for _ in $(seq 300); do
		if grep -q '"msg":"started"' "$1"; then
			sed -n 's/.*"msg":"listening","rule":"mx".*"hop":"\([^"]*\)".*/\1/p' "$1" | head -1
			return
		fi
		sleep 0.2
	done
	cat "$1" >&2
	return 1
}
mail() { swaks --server "$1" --from a@partner.example --to soumu@town.example.lg.jp --header "Subject: image" --body "hello" --silent 2; }
state() { sed -n 's/.*"state":"\([A-Za-z]*\)".*/\1/p'; }

# working NAME [FILTER]: doctor passes and a mail is treated.
working() {
	local name=$1 filter=${2:-} began
	began=$(date +%s%N)
	inside "$name" ${filter:+"$filter"} -- /usr/bin/sekishod --config /etc/sekisho/sekisho.yaml 2>"$try/$name.log" &
	pids+=($!)
	local at
	at=$(started "$try/$name.log")
	local up=$((($(date +%s%N) - began) / 1000000))
	inside "$name" ${filter:+"$filter"} -- /usr/bin/sekisho doctor >"$try/$name.doctor" || { cat "$try/$name.doctor" "$try/$name.log" >&2; die "$name: doctor fails"; }
	! grep -q FAIL "$try/$name.doctor" || { cat "$try/$name.doctor" >&2; die "$name: doctor fails"; }
	! grep -q 'could not be built' "$try/$name.doctor" || { cat "$try/$name.doctor" >&2; die "$name: the sandbox of a tool"; }
	grep -q 'pass  isolation in the service' "$try/$name.doctor" || die "$name: doctor does not speak of the isolation"
	mail "$at"
	for _ in $(seq 100); do
		inside "$name" -- /usr/bin/sekisho --json queue list >"$try/$name.queue"
		! grep -q '"state":"Queued"' "$try/$name.queue" || break
		sleep 0.2
	done
	grep -q '"state":"Queued"' "$try/$name.queue" || { cat "$try/$name.log" >&2; die "$name: the mail is not treated"; }
	printf 'name,value\na,=1+1\n' >"$try/$name/table.csv"
	chown 65532 "$try/$name/table.csv"
	inside "$name" ${filter:+"$filter"} -- /usr/bin/sekisho sanitize --json --out /tmp /var/lib/sekisho/table.csv | grep -q '"outcome":"disarmed"' || die "$name: sekisho sanitize"
	say "$name: uid 65532, read-only root: started in $up ms, doctor $(grep -c '^pass' "$try/$name.doctor") pass, 0 FAIL; a mail treated, a file disarmed"
}

# refusing NAME WORD START DOCTOR...: mail is taken and kept, and doctor says why.
refusing() {
	local name=$1 word=$2 at
	shift 2
	at=$(started "$try/$name.log")
	mail "$at"
	for _ in $(seq 100); do
		"$@" --json quarantine list >"$try/$name.held" 2>/dev/null || true
		[ ! -s "$try/$name.held" ] || break
		sleep 0.2
	done
	grep -q '"class":"failed"' "$try/$name.held" || { cat "$try/$name.log" >&2; die "$name: the mail is not held"; }
	if "$@" doctor >"$try/$name.doctor" 2>&1; then die "$name: doctor passes, and no worker can be confined"; fi
	grep -q "FAIL  isolation in the service.*$word" "$try/$name.doctor" || { cat "$try/$name.doctor" >&2; die "$name: doctor does not say why ($word)"; }
	say "$name: the worker refuses, a mail is taken and held, doctor: $(sed -n 's/.*FAIL  isolation in the service *//p' "$try/$name.doctor" | head -1)"
}

working pivot_root
working seccomp "$try/ours.bpf"

inside docker-default "$try/docker.bpf" -- /usr/bin/sekishod --config /etc/sekisho/sekisho.yaml 2>"$try/docker-default.log" &
pids+=($!)
refusing docker-default 'seccomp filter is active' inside docker-default "$try/docker.bpf" -- /usr/bin/sekisho

mkdir -p "$try/chroot"
chown 65532:65532 "$try/chroot"
mount -t proc proc "$try/root/proc"
mount --bind "$try/chroot" "$try/root/var/lib/sekisho"
mount --bind "$try/etc" "$try/root/etc/sekisho"
chrooted chroot /usr/bin/sekishod --config /etc/sekisho/sekisho.yaml 2>"$try/chroot.log" &
pids+=($!)
refusing chroot 'under chroot' chrooted chroot /usr/bin/sekisho
say "the image is localhost/sekisho in $work/storage (buildah --root); well"
