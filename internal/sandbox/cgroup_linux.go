package sandbox

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// cgroupStatus says which controllers of cgroup v2 the parent could use for
// its workers. They are an extra: memory and threads are bounded without.
func cgroupStatus(root fs.FS) string {
	own, ok := ownCgroup(root)
	if !ok {
		return "no cgroup v2"
	}
	mount := "sys/fs/cgroup"
	if _, err := fs.Stat(root, path.Join(mount, "cgroup.controllers")); err != nil {
		mount = "sys/fs/cgroup/unified" // systemd's hybrid layout
	}
	b, err := fs.ReadFile(root, path.Join(mount, own, "cgroup.controllers"))
	if err != nil {
		return "cgroup v2 is not readable"
	}
	have := strings.Fields(string(b))
	var missing []string
	for _, c := range []string{"memory", "pids"} {
		if !slices.Contains(have, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return "cgroup v2 without " + strings.Join(missing, " and ") + " (in the unit: Delegate=memory pids)"
	}
	return "cgroup v2 with memory and pids"
}

// ownCgroup is the path of this process in the unified hierarchy.
func ownCgroup(root fs.FS) (string, bool) {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		// cgroups(7): "0::" is the unified hierarchy.
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return p, true
		}
	}
	return "", false
}
