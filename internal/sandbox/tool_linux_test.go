package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func toolProfile() ToolProfile {
	return ToolProfile{AddressSpace: 2 << 30, CPU: 20 * time.Second, FileSize: 16 << 20, OutputSize: 1 << 20, Scratch: 32 << 20, OpenFiles: 256, Processes: 64}
}

func memory(t testing.TB, text string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f
}

// runOneTool runs a tool and returns its output, its complaint and how it ended.
func runOneTool(t testing.TB, ctx context.Context, tl Tool) (out, complaint string, exit int, err error) {
	t.Helper()
	tl.Launcher = program(t)
	if tl.Profile == (ToolProfile{}) {
		tl.Profile = toolProfile()
	}
	if tl.Input == nil {
		tl.Input = memory(t, "input\n")
	}
	if tl.In == "" {
		tl.In = "in.txt"
	}
	tl.Output = memory(t, "")
	r, w, perr := os.Pipe()
	if perr != nil {
		t.Fatal(perr)
	}
	defer r.Close()
	tl.Complaint = w
	p, serr := tl.Start(ctx)
	w.Close()
	if serr != nil {
		t.Fatal(serr)
	}
	var said bytes.Buffer
	if _, err := io.Copy(&said, r); err != nil {
		t.Fatal(err)
	}
	st, werr := p.Wait()
	if werr != nil {
		t.Fatal(werr)
	}
	b, rerr := io.ReadAll(io.NewSectionReader(tl.Output, 0, 1<<30))
	if rerr != nil {
		t.Fatal(rerr)
	}
	exit, err = st.ToolErr()
	return string(b), said.String(), exit, err
}

func shell(script string) Tool { return Tool{Path: "/bin/sh", Args: []string{"-c", script}} }

func TestAToolReadsItsInputAndGivesOneOutputNeedsNamespaces(t *testing.T) {
	out, said, exit, err := runOneTool(t, t.Context(), shell("cat /job/in.txt; echo wrong >&2; exit 3"))
	if out != "input\n" || said != "wrong\n" || exit != 3 || err != nil {
		t.Errorf("%q, %q, %d, %v", out, said, exit, err)
	}
	tl := shell("tr a-z A-Z < in.txt > out/a.txt; cat home.d/x")
	tl.Out, tl.Files = "a.txt", map[string]string{"home.d/x": "profile"}
	out, said, exit, err = runOneTool(t, t.Context(), tl)
	if out != "INPUT\n" || said != "profile" || exit != 0 || err != nil {
		t.Errorf("%q, %q, %d, %v", out, said, exit, err)
	}
}

func TestWhatAToolLeavesIsAFileOrNothingNeedsNamespaces(t *testing.T) {
	for script, want := range map[string]error{
		"true":                                   ErrNoOutput,
		": > out/a.txt":                          ErrNoOutput,
		"ln -s /job/in.txt out/a.txt":            ErrBadOutput,
		"ln -s /etc/passwd out/a.txt":            ErrBadOutput,
		"mkfifo out/a.txt":                       ErrBadOutput,
		"mkdir out/a.txt":                        ErrBadOutput,
		"head -c 2000000 /dev/zero > out/a.txt":  ErrBadOutput,
		"echo x > out/a.txt; (sleep 1000 &) ":    nil,
		"echo x > out/a.txt; kill -9 $$":         errors.New("the program was ended by a signal"),
		"echo x > out/a.txt; mknod out/b c 1 1 ": nil,
	} {
		tl := shell(script)
		tl.Out = "a.txt"
		out, said, _, err := runOneTool(t, t.Context(), tl)
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() || want != nil && out != "" {
			t.Errorf("%s: %q, %v (%s), want %v", script, out, err, said, want)
		}
	}
}

// TestSeveralOutputsAreTakenInTheOrderOfTheirNamesNeedsNamespaces, all of them or
// none.
func TestSeveralOutputsAreTakenInTheOrderOfTheirNamesNeedsNamespaces(t *testing.T) {
	const both = "\x00\x00\x00\x00\x00\x00\x00\x02a\n\x00\x00\x00\x00\x00\x00\x00\x03bb\n"
	for _, c := range []struct {
		script, out string
		err         error
	}{
		{"echo bb > out/p-10; echo a > out/p-09; echo said", both, nil},
		{"echo a > out/p-1; (sleep 1; echo c > out/p-2) & echo bb > out/p-2", both, nil},
		{"echo a > out/p-1; echo bb > out/p-2; exit 2", "", nil}, // its status says the rest
		{"echo a > out/p-1", "", ErrNoOutput},
		{"true", "", ErrNoOutput},
		{"echo a > out/p-1; : > out/p-2", "", ErrNoOutput},
		{"echo a > out/p-1; echo b > out/p-2; echo c > out/p-3", "", ErrBadOutput},
		{"echo a > out/p-1; ln -s /job/in.txt out/p-2", "", ErrBadOutput},
		{"echo a > out/p-1; mkfifo out/p-2", "", ErrBadOutput},
		{"echo a > out/p-1; mkdir out/p-2", "", ErrBadOutput},
		{"rm -r out; ln -s /usr out", "", ErrBadOutput},
		{"head -c 600000 /dev/zero > out/p-1; cp out/p-1 out/p-2", "", ErrBadOutput}, // together too long
	} {
		tl := shell(c.script)
		tl.Outs = 2
		out, said, exit, err := runOneTool(t, t.Context(), tl)
		if !errors.Is(err, c.err) || out != c.out {
			t.Errorf("%s: %q, %d, %v (%s), want %v", c.script, out, exit, err, said, c.err)
		}
	}
	tl := shell("true")
	for _, bad := range []Tool{{Outs: -1}, {Outs: maxOuts + 1}, {Outs: 1, Out: "a"}} {
		tl.Outs, tl.Out = bad.Outs, bad.Out
		tl.Launcher, tl.Profile, tl.In = program(t), toolProfile(), "in.txt"
		tl.Input, tl.Output, tl.Complaint = memory(t, ""), memory(t, ""), memory(t, "")
		if _, err := tl.Start(t.Context()); err == nil {
			t.Errorf("%d outputs and %q are started", tl.Outs, tl.Out)
		}
	}
}

// TestAToolSeesNothingOfTheHostNeedsNamespaces tries what a captured converter
// would.
func TestAToolSeesNothingOfTheHostNeedsNamespaces(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("SECRET"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SEKISHO_SECRET", "SECRET")
	for _, c := range []struct{ name, script, want string }{
		{"a file of the host", "cat " + secret + " || echo no", "no"},
		{"the passwords", "wc -l < /etc/passwd; cat /etc/shadow || echo no", "1\nno"},
		{"the root", "ls -A /", "bin\ndev\netc\njob\nlib\nlib64\nsbin\ntmp\nusr\nvar"},
		{"processes", "ls /proc /sys || echo no", "no"},
		{"itself as first", "echo $$", ""},
		{"writing to programs", "echo x > /usr/bin/x || echo no", "no"},
		{"writing to the root", "mkdir /x || echo no", "no"},
		{"its input", "rm -f in.txt; echo x > in.txt; echo done", "done"},
		{"environment", "env | grep -c SECRET", "0"},
		{"mounting", "mount -t tmpfs x /job/tmp || echo no", "no"},
		{"a new namespace", "unshare -U true || echo no", "no"},
		{"user", "id -u; id -g", "65534\n65534"},
		{"a disk", "echo x > /dev/sda || echo no", "no"},
		{"capabilities", "python3 -c 'import os; os.chroot(\"/job\")' && echo yes || echo no", "no"},
		{"a socket of the internet", "python3 -c 'import socket; socket.socket()' && echo yes || echo no", "no"},
		{"packets", "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)' && echo yes || echo no", "no"},
		{"netlink", "python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)' && echo yes || echo no", "no"},
		{"a socket of its own", "python3 -c 'import socket; socket.socket(socket.AF_UNIX)' && echo yes || echo no", "yes"},
		{"another's memory", "python3 -c 'import ctypes,os; print(ctypes.CDLL(None).ptrace(16, 1, 0, 0))'", "-1"},
	} {
		out, said, _, err := runOneTool(t, t.Context(), shell(c.script))
		if err != nil || c.want != "" && strings.TrimSpace(out) != c.want {
			t.Errorf("%s: %q, %v, want %q (%s)", c.name, out, err, c.want, said)
		}
		if strings.Contains(out+said, "SECRET") {
			t.Errorf("%s: a secret came out", c.name)
		}
	}
}

func TestAToolIsBoundedNeedsNamespaces(t *testing.T) {
	p := toolProfile()
	p.CPU = time.Second
	if _, _, _, err := runOneTool(t, t.Context(), Tool{Path: "/bin/sh", Args: []string{"-c", "while :; do :; done"}, Profile: p}); err == nil {
		t.Error("a loop ended well")
	}
	for _, c := range []struct{ name, script, want string }{
		{"memory", "python3 -c 'x = bytearray(3 << 30)' 2>/dev/null && echo yes || echo no", "no"},
		{"one file", "head -c 20000000 /dev/zero > tmp/x 2>/dev/null; stat -c %s tmp/x", "16777216"},
		{"all files", "for i in 1 2 3 4; do head -c 15000000 /dev/zero > tmp/$i 2>/dev/null || echo full; done", "full"},
		{"files", "i=0; while [ $i -lt 20000 ]; do true > tmp/$i || { echo full; break; }; i=$((i+1)); done", "full"},
		{"processes", "python3 -c '\nimport os\nn=0\ntry:\n  for i in range(200):\n    if os.fork()==0:\n      import time; time.sleep(100)\n    n+=1\nexcept OSError: pass\nprint(n < 70)'", "True"},
	} {
		out, said, _, err := runOneTool(t, t.Context(), shell(c.script))
		if lines := strings.Fields(out); err != nil || len(lines) == 0 || lines[0] != c.want {
			t.Errorf("%s: %q, %v, want %q (%s)", c.name, out, err, c.want, said)
		}
	}
}

func TestAToolAndAllItStartedEndTogetherNeedsNamespaces(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	// It ignores what can be ignored, and its children leave their session.
	_, _, _, err := runOneTool(t, ctx, shell("trap '' TERM HUP INT; setsid sleep 31337 & (trap '' TERM; sleep 31337) & wait"))
	if err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	left, gerr := filepath.Glob("/proc/[0-9]*/cmdline")
	if gerr != nil {
		t.Fatal(gerr)
	}
	for _, name := range left {
		b, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(b), "31337") && !strings.Contains(string(b), "trap") {
			t.Errorf("%s is left: %q", name, b)
		}
	}
}

func TestAToolThatIsNotThereIsToldNeedsNamespaces(t *testing.T) {
	if _, _, _, err := runOneTool(t, t.Context(), Tool{Path: "/usr/bin/no-such-program"}); !errors.Is(err, ErrNoTool) {
		t.Errorf("%v", err)
	}
}

func TestToolsOfNoBoundAreRefused(t *testing.T) {
	f := memory(t, "")
	good := Tool{Launcher: "/x", Path: "/bin/sh", Input: f, Output: f, Complaint: f, In: "a", Profile: toolProfile()}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Tool){
		"no limits":     func(t *Tool) { t.Profile = ToolProfile{} },
		"no CPU":        func(t *Tool) { t.Profile.CPU = 0 },
		"no output":     func(t *Tool) { t.Output = nil },
		"relative":      func(t *Tool) { t.Path = "sh" },
		"input a path":  func(t *Tool) { t.In = "../a" },
		"output a path": func(t *Tool) { t.Out = "a/b" },
		"file outside":  func(t *Tool) { t.Files = map[string]string{"../x": ""} },
		"all the host":  func(t *Tool) { t.Binds = []string{"/"} },
	} {
		tl := good
		change(&tl)
		if tl.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNobodyButALauncherMakesATool(t *testing.T) {
	if os.Getpid() == 1 {
		t.Skip("skipped: this process is number 1")
	}
	// A root who runs the program by hand keeps his root file system.
	o := toolOrder{Path: "/bin/sh", In: "a", Profile: toolProfile()}
	if err := o.confine(); err == nil {
		t.Fatal("confined in the namespaces of the host")
	}
}
