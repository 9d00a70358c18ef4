package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// Cgroups puts every confined process into a control group of its own. It is
// an extra: the limits of a Profile hold without it, but a group also counts
// what the kernel allocates for a process and the memory files it fills.
//
// It needs the unified hierarchy (cgroup v2) and a service manager that hands
// the controllers memory and pids over to this process (systemd:
// Delegate=memory pids).
type Cgroups struct {
	dir         string // our own group, as a directory
	controllers []string
	runs        atomic.Uint64
}

// daemonGroup is the group this process moves to: one that has processes
// cannot hand controllers on (cgroups(7), "no internal processes").
const daemonGroup = "daemon"

// runGroup begins the names of the groups of confined processes.
const runGroup = "run-"

// OpenCgroups takes over the group of this process, which moves into a group
// below, and starts the binary's self-test in another one to see that it
// works. Call it once, before anything was started.
func OpenCgroups(ctx context.Context, binary string, p Profile) (*Cgroups, error) {
	g, err := openCgroups("/", os.Getpid())
	if err != nil {
		return nil, err
	}
	t, free, err := layTargets(binary)
	if err != nil {
		return nil, fmt.Errorf("try a cgroup: %w", err)
	}
	defer free()
	found, _, err := runOne(ctx, Command{Path: binary, Profile: p, Cgroups: g}, probes[0], t)
	if err == nil && !found.Pass {
		err = errors.New(found.Detail)
	}
	if err != nil {
		return nil, fmt.Errorf("try a cgroup: %w", err)
	}
	return g, nil
}

// openCgroups is OpenCgroups in a file system that begins at root.
func openCgroups(root string, pid int) (*Cgroups, error) {
	own, controllers, err := delegated(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	g := &Cgroups{dir: filepath.Join(root, own), controllers: controllers}
	daemon := filepath.Join(g.dir, daemonGroup)
	if err := os.Mkdir(daemon, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	if err := set(daemon, "cgroup.procs", fmt.Sprint(pid)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	if err := set(g.dir, "cgroup.subtree_control", "+"+strings.Join(controllers, " +")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	// What a predecessor that was killed has left; nothing lives in there,
	// for its children died with it.
	old, err := filepath.Glob(filepath.Join(g.dir, runGroup+"*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range old {
		_ = os.Remove(dir)
	}
	return g, nil
}

// String says which of its limits the kernel enforces, for doctor.
func (g *Cgroups) String() string { return strings.Join(g.controllers, " and ") }

// group makes the group of one process and opens it.
func (g *Cgroups) group(p Profile) (*os.File, error) {
	dir := filepath.Join(g.dir, fmt.Sprintf("%s%d-%d", runGroup, os.Getpid(), g.runs.Add(1)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	limits := map[string]string{}
	if slices.Contains(g.controllers, "memory") {
		// RLIMIT_DATA stays the limit that is met first. Above it lie one
		// full output file, which counts as memory, and what the kernel
		// needs for threads, page tables and pipes.
		limits["memory.max"] = fmt.Sprint(p.Memory + p.FileSize + 64<<20)
	}
	if slices.Contains(g.controllers, "pids") {
		limits["pids.max"] = fmt.Sprint(p.Threads)
	}
	for name, value := range limits {
		if err := set(dir, name, value); err != nil {
			_ = os.Remove(dir)
			return nil, fmt.Errorf("cgroup: %w", err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		_ = os.Remove(dir)
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return f, nil
}

// drop removes the group of a process that was reaped. An empty one that
// stays behind does no harm, and the next start removes it.
func drop(group *os.File) {
	if group != nil {
		group.Close()
		_ = os.Remove(group.Name())
	}
}

// set writes one of the kernel's files. It does not create it.
func set(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", value, err)
	}
	return nil
}

// cgroupStatus is a line for doctor about what could be had.
func cgroupStatus(root fs.FS) string {
	_, controllers, err := delegated(root)
	if err != nil {
		return err.Error()
	}
	return "cgroup v2 with " + strings.Join(controllers, " and ")
}

// delegated finds the group of this process, without a slash in front, and
// those of its controllers that are of use here.
func delegated(root fs.FS) (dir string, controllers []string, err error) {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	own, ok := "", false
	for line := range strings.Lines(string(b)) {
		// cgroups(7): "0::" is the unified hierarchy.
		if own, ok = strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			break
		}
	}
	if !ok {
		return "", nil, fmt.Errorf("%w: the hierarchy is version 1", ErrNoCgroups)
	}
	mount := "sys/fs/cgroup"
	if _, err := fs.Stat(root, path.Join(mount, "cgroup.controllers")); err != nil {
		mount = "sys/fs/cgroup/unified" // systemd's hybrid layout
	}
	dir = path.Join(mount, own)
	b, err = fs.ReadFile(root, path.Join(dir, "cgroup.controllers"))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrNoCgroups, err)
	}
	for _, c := range []string{"memory", "pids"} {
		if slices.Contains(strings.Fields(string(b)), c) {
			controllers = append(controllers, c)
		}
	}
	if len(controllers) == 0 {
		return "", nil, fmt.Errorf("%w: neither memory nor pids (in the unit: Delegate=memory pids)", ErrNoCgroups)
	}
	return dir, controllers, nil
}
