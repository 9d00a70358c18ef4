package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the first process of a tool.
const (
	toolComplaint = 2
	toolInput     = 3
	toolOutput    = 4
	toolGiven     = 5
	toolTurn      = 5 // of a spare: what it is to do
	toolReady     = 6 // of a spare: that it waits
	spareGiven    = 7
)

// hostPieces are what a tool sees of the host, all of it read-only. What is not
// there is left out.
var hostPieces = [...]string{
	"/usr", "/etc/fonts", "/etc/libreoffice", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime",
	"/var/lib/libreoffice", "/var/cache/fontconfig",
}

// devices are the device files a tool may open.
var devices = [...]string{"/dev/null", "/dev/zero", "/dev/urandom"}

// links are what is a symbolic link into /usr on most systems, and a folder on
// some.
var links = [...]string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// Start starts the tool. When ctx is done, all of it is killed.
func (t *Tool) Start(ctx context.Context) (*Process, error) { return t.start(ctx) }

func (t *Tool) start(ctx context.Context, more ...*os.File) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(t.Path), err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(t.Path), err)
	}
	o := toolOrder{Path: t.Path, Args: t.Args, Env: t.Env, In: t.In, Out: t.Out, Outs: t.Outs, Files: t.Files, Binds: t.Binds, Profile: t.Profile, Spare: t.spare}
	arg, err := o.argument()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(t.Path), err)
	}
	c := Command{Path: t.Launcher, Files: append([]*os.File{nil, nil, t.Complaint, t.Input, t.Output}, more...)}
	var p *Process
	if t.Starter != nil {
		p, err = t.Starter.order(&c, arg, nil, t.Profile.CPU)
	} else {
		p, err = c.launch(arg, nil, t.Profile.CPU)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(t.Path), err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	go func() {
		<-p.done
		stop()
	}()
	return p, nil
}

// runTool is the main of the first process of a tool. It does not return.
func runTool(arg string) {
	var o toolOrder
	d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(arg, toolFlag)))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		giveUp(fmt.Errorf("order of a tool: %w", err))
	}
	if err := o.confine(); err != nil {
		fmt.Fprintf(os.Stderr, "sandbox of a tool: %v\n", err)
		os.Exit(exitTrouble)
	}
	if o.Spare {
		os.Exit(o.wait())
	}
	os.Exit(o.run())
}

// confine builds the sandbox around this process, which starts the program in
// it. The program inherits all of it.
func (o *toolOrder) confine() error {
	if err := o.Profile.check(); err != nil {
		return err
	}
	if err := launched(false); err != nil {
		return err
	}
	given := toolGiven
	if o.Spare {
		given = spareGiven
	}
	if _, err := closeLeaked(given, o.Profile.OpenFiles); err != nil {
		return err
	}
	if err := orphaned(given); err != nil {
		return err
	}
	// Where memory runs out, a converter is what the machine can do without.
	// It may not be to be had here, and is no part of the bargain.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	// Nor is this: a session of its own has a weight of its own, too.
	if f, err := os.OpenFile("/proc/self/autogroup", os.O_WRONLY, 0); err == nil {
		go weigh(f)
	}
	var st unix.Stat_t
	if err := unix.Fstat(toolInput, &st); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	if err := o.root(o.Profile.Scratch + st.Size); err != nil {
		return err
	}
	if err := o.fill(); err != nil {
		return err
	}
	if err := o.limit(); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return installToolFilter()
}

// limit sets the limits that the program inherits.
func (o *toolOrder) limit() error {
	p := o.Profile
	for _, l := range []struct {
		name  string
		which int
		value int64
	}{
		// Ours takes some of it too before the program is started; its runtime
		// reserves a gigabyte of addresses.
		{"address space", unix.RLIMIT_AS, max(p.AddressSpace, 2<<30)},
		{"CPU time", unix.RLIMIT_CPU, int64(p.CPU.Seconds())},
		{"file size", unix.RLIMIT_FSIZE, p.FileSize},
		{"open files", unix.RLIMIT_NOFILE, int64(p.OpenFiles)},
		{"processes", unix.RLIMIT_NPROC, int64(p.Processes)},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"locked memory", unix.RLIMIT_MEMLOCK, 0},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
	} {
		var have unix.Rlimit
		if err := unix.Getrlimit(l.which, &have); err != nil {
			return fmt.Errorf("read the limit of %s: %w", l.name, err)
		}
		v := min(uint64(l.value), have.Max)
		if err := unix.Setrlimit(l.which, &unix.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %s to %d: %w", l.name, v, err)
		}
	}
	return nil
}

// piece is a part of the host on its way into the new root.
type piece struct {
	fd   int
	name string
	dir  bool
}

// root builds a file system of pieces of the host and moves into it.
func (o *toolOrder) root(scratch int64) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	var pieces []piece
	take := func(name string, attr uint64) error {
		fi, err := os.Stat(name)
		if err != nil {
			return nil // not on this system
		}
		p, err := detach(name, attr, fi.IsDir())
		if err != nil {
			return fmt.Errorf("take %s along: %w", name, err)
		}
		pieces = append(pieces, p)
		return nil
	}
	const readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID
	for _, name := range append(hostPieces[:], o.Binds...) {
		if err := take(name, readOnly|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	for _, name := range devices {
		if err := take(name, readOnly|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	symlinks := map[string]string{}
	for _, name := range links {
		if to, err := os.Readlink(name); err == nil {
			symlinks[name] = to
		} else if err := take(name, readOnly|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	at, err := mountAnywhere("size=1m,nr_inodes=512,mode=0755", unix.MS_NOSUID|unix.MS_NODEV)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := p.attach(at); err != nil {
			return fmt.Errorf("put %s into the root: %w", p.name, err)
		}
	}
	for name, to := range symlinks {
		if err := os.Symlink(to, at+name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(at+"/etc", 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"/etc/passwd":        "nobody:x:65534:65534:nobody:" + jobDir + ":/usr/sbin/nologin\n",
		"/etc/group":         "nogroup:x:65534:\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	} {
		if err := os.WriteFile(at+name, []byte(text), 0o444); err != nil {
			return err
		}
	}
	if err := os.Mkdir(at+jobDir, 0o755); err != nil {
		return err
	}
	// It is there already when a piece of the host lies in /tmp; then it is
	// read-only, and TMPDIR says where to go.
	if err := os.Symlink(tempDir, at+"/tmp"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// All that a tool may write lies in this one, so that its size bounds it.
	options := fmt.Sprintf("size=%d,nr_inodes=10000,mode=0755", scratch+1<<20)
	if err := unix.Mount("job", at+jobDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount the scratch directory: %w", err)
	}
	if err := pivot(at); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}

// detach copies the mounts at and below name, off from where they are.
func detach(name string, attr uint64, dir bool) (piece, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return piece{}, err
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr}); err != nil {
		unix.Close(fd)
		return piece{}, err
	}
	return piece{fd, name, dir}, nil
}

// attach puts the piece below a new root, under the name it had.
func (p piece) attach(root string) error {
	defer unix.Close(p.fd)
	to := root + p.name
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if p.dir {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	} else if err := os.WriteFile(to, nil, 0o444); err != nil {
		return err
	}
	return unix.MoveMount(p.fd, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// fill puts the input and the files of the tool into the scratch directory.
func (o *toolOrder) fill() error {
	for _, dir := range []string{outDir, tempDir, jobDir + "/home"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for name, text := range o.Files {
		to := filepath.Join(jobDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if o.Spare {
		return nil
	}
	return o.give()
}

// give puts the input into the scratch directory.
func (o *toolOrder) give() error {
	f, err := os.OpenFile(filepath.Join(jobDir, o.In), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	in := os.NewFile(toolInput, "input")
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	if _, err := io.Copy(f, in); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	if err := in.Close(); err != nil {
		return err
	}
	return f.Close()
}

// run starts the program, waits for it, ends what it left behind and takes the
// output. It returns the exit status for the parent.
func (o *toolOrder) run() int {
	pid, code := o.program()
	if code != 0 {
		return code
	}
	status, err := reap(pid)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitTrouble
	}
	return o.ended(status)
}

// program starts the program.
func (o *toolOrder) program() (pid, code int) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 0, exitTrouble
	}
	defer null.Close()
	stdout := uintptr(toolComplaint)
	if o.Out == "" && o.Outs == 0 && !o.Spare {
		stdout = toolOutput
	}
	unix.CloseOnExec(toolOutput)
	unix.CloseOnExec(toolInput)
	if o.Spare {
		unix.CloseOnExec(toolTurn)
		unix.CloseOnExec(toolReady)
	}
	env := append([]string{"PATH=/usr/bin:/bin", "HOME=" + jobDir + "/home", "TMPDIR=" + tempDir, "LANG=C.UTF-8"}, o.Env...)
	pid, err = syscall.ForkExec(o.Path, append([]string{o.Path}, o.Args...), &syscall.ProcAttr{
		Dir: jobDir, Env: env, Files: []uintptr{null.Fd(), stdout, toolComplaint}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES):
		return 0, exitNoTool
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 0, exitTrouble
	}
	return pid, 0
}

// weigh gives a session the niceness of what is in it, which the kernel lets
// ordinary users do ten times a second.
func weigh(autogroup *os.File) {
	defer autogroup.Close()
	for range 100 {
		if _, err := autogroup.WriteString(strconv.Itoa(niceness)); !errors.Is(err, unix.EAGAIN) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ended takes the output of a program that ended, and says what the parent is
// told.
func (o *toolOrder) ended(status unix.WaitStatus) int {
	switch {
	case status.Signaled():
		return exitSignal
	case status.ExitStatus() >= exitSignal:
		// The numbers from here on are ours.
		return exitSignal - 1
	case o.Out != "":
		if code := o.take(); code != 0 {
			return code
		}
	case o.Outs > 0 && status.ExitStatus() == 0:
		if code := o.takeSeveral(); code != 0 {
			return code
		}
	}
	return status.ExitStatus()
}

// reap waits for the program, as number 1 for whoever else ends meanwhile, and
// kills all that is left.
func reap(pid int) (unix.WaitStatus, error) {
	var status, s unix.WaitStatus
	for ended := 0; ended != pid; {
		var err error
		ended, err = unix.Wait4(-1, &s, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait for the program: %w", err)
		}
		if ended == pid {
			status = s
		}
	}
	for {
		// ESRCH: nobody is left. Whoever forks while he is killed is met by the
		// next round.
		_ = unix.Kill(-1, unix.SIGKILL)
		_, err := unix.Wait4(-1, &s, 0, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return status, nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return 0, fmt.Errorf("wait for what the program left: %w", err)
		}
	}
}

// take copies the output, if it is a file and not too long.
func (o *toolOrder) take() int {
	fd, err := unix.Open(filepath.Join(outDir, o.Out), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return exitNoOutput
	case err != nil:
		return exitBad
	}
	f := os.NewFile(uintptr(fd), "output")
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil || !st.Mode().IsRegular() || st.Size() > o.Profile.OutputSize:
		return exitBad
	case st.Size() == 0:
		return exitNoOutput
	}
	if _, err := io.Copy(os.NewFile(toolOutput, "result"), f); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitTrouble
	}
	return 0
}

// takeSeveral copies all outputs, if they are as many files as were agreed and
// together not too long. Nothing is copied before all have been looked at.
func (o *toolOrder) takeSeveral() int {
	at, err := unix.Open(outDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return exitBad
	}
	dir := os.NewFile(uintptr(at), "outputs")
	defer dir.Close()
	names, err := dir.Readdirnames(o.Outs + 1)
	switch {
	case err != nil && !errors.Is(err, io.EOF), len(names) > o.Outs:
		return exitBad
	case len(names) < o.Outs:
		return exitNoOutput
	}
	slices.Sort(names)
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	sizes, left := make([]int64, o.Outs), o.Profile.OutputSize
	for i, name := range names {
		fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return exitBad
		}
		f := os.NewFile(uintptr(fd), "output")
		files = append(files, f)
		st, err := f.Stat()
		if err != nil || !st.Mode().IsRegular() {
			return exitBad
		}
		sizes[i] = st.Size()
		if left -= 8 + sizes[i]; left < 0 {
			return exitBad
		}
		if sizes[i] == 0 {
			return exitNoOutput
		}
	}
	// In pieces of what a pipe holds, behind neither's own way of copying.
	piece, out := make([]byte, 1<<20), struct{ io.Writer }{os.NewFile(toolOutput, "result")}
	for i, f := range files {
		from := io.MultiReader(bytes.NewReader(binary.BigEndian.AppendUint64(nil, uint64(sizes[i]))), io.LimitReader(f, sizes[i]))
		if n, err := io.CopyBuffer(out, struct{ io.Reader }{from}, piece); err != nil || n != 8+sizes[i] {
			fmt.Fprintln(os.Stderr, "output:", n, err)
			return exitTrouble
		}
	}
	return 0
}
