package lossyfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	must(t, err)
	var ns []string
	for _, e := range es {
		ns = append(ns, e.Name())
	}
	slices.Sort(ns)
	return ns
}

// TestOnlyWhatWasSyncedSurvives is the contract that the other tests rest on.
func TestOnlyWhatWasSyncedSurvives(t *testing.T) {
	d := New(t)
	p := func(name string) string { return filepath.Join(d.Dir, name) }
	write := func(name, text string) {
		t.Helper()
		must(t, os.WriteFile(p(name), []byte(text), 0o640))
	}
	must(t, os.Mkdir(p("dir"), 0o700))
	write("whole", "synced")
	syncPath(t, p("whole"))
	write("nameless", "synced, its name is not")
	write("dir/inside", "synced in a directory that is")
	write("empty", "the name is synced, the bytes are not")
	write("dir/lost", "not synced in its directory")
	write("moved", "one")
	syncPath(t, p("moved"))
	syncPath(t, p("dir/inside"))
	must(t, os.Remove(p("nameless")))
	syncPath(t, p("dir"))
	write("dir/lost2", "after the sync")
	syncPath(t, d.Dir)
	write("nameless", "again")
	syncPath(t, p("nameless"))
	write("whole", "synced and then changed")
	must(t, os.Rename(p("moved"), p("dir/moved")))
	must(t, os.Remove(p("whole")))

	if got := names(t, d.Dir); !slices.Equal(got, []string{"dir", "empty", "nameless"}) {
		t.Errorf("before the cut: %v", got)
	}
	d.Cut(Drop, 1)
	if err := os.WriteFile(p("late"), nil, 0o600); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write after the cut: %v, want EIO", err)
	}
	d.Remount()
	if got := names(t, d.Dir); !slices.Equal(got, []string{"dir", "empty", "moved", "whole"}) {
		t.Errorf("after the cut: %v", got)
	}
	if got := names(t, p("dir")); !slices.Equal(got, []string{"inside", "lost"}) {
		t.Errorf("after the cut, in the directory: %v", got)
	}
	for name, want := range map[string]string{"whole": "synced", "moved": "one", "empty": "", "dir/inside": "synced in a directory that is", "dir/lost": ""} {
		if b, err := os.ReadFile(p(name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", name, b, err, want)
		}
	}
	if st, err := os.Stat(p("whole")); err != nil || st.Mode() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestTheOtherCutsKeepParts shows that what is not synced may stay, in part,
// and what is synced always does.
func TestTheOtherCutsKeepParts(t *testing.T) {
	for _, mode := range []Mode{Some, Torn} {
		kinds := map[string]int{}
		for seed := range uint64(20) {
			d := New(t)
			path := filepath.Join(d.Dir, "file")
			must(t, os.WriteFile(path, []byte(strings.Repeat("a", 4096)), 0o600))
			syncPath(t, path)
			syncPath(t, d.Dir)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			for i := range 3 {
				_, err = f.WriteAt([]byte(strings.Repeat("b", 4096)), int64(i+1)*4096)
				must(t, err)
			}
			must(t, f.Close())
			must(t, os.WriteFile(filepath.Join(d.Dir, "new"), nil, 0o600))
			d.Cut(mode, seed)
			d.Remount()
			b, err := os.ReadFile(path)
			must(t, err)
			if len(b) < 4096 || strings.Trim(string(b[:4096]), "a") != "" {
				t.Fatalf("%s, seed %d: what was synced is gone", mode, seed)
			}
			switch rest := strings.Trim(string(b[4096:]), "b"); {
			case len(b) == 4096:
				kinds["nothing"]++
			case len(b) == 4*4096 && rest == "":
				kinds["all"]++
			case rest != "":
				kinds["holes"]++
			case len(b)%4096 != 0:
				kinds["torn"]++
			default:
				kinds["part"]++
			}
			if len(names(t, d.Dir)) == 2 {
				kinds["name"]++
			}
		}
		want := []string{"nothing", "part", "holes", "name"}
		if mode == Torn {
			want = []string{"nothing", "part", "torn"}
		}
		for _, k := range want {
			if kinds[k] == 0 {
				t.Errorf("%s: never %s in 20 cuts: %v", mode, k, kinds)
			}
		}
		if mode == Torn && kinds["holes"]+kinds["name"] > 0 {
			t.Errorf("%s: out of order: %v", mode, kinds)
		}
	}
}

func TestIllDisks(t *testing.T) {
	d := New(t)
	path := filepath.Join(d.Dir, "file")
	must(t, os.WriteFile(path, []byte("one"), 0o600))
	try := func(f Faults) error {
		d.Set(f)
		defer d.Set(Faults{})
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		defer file.Close()
		if _, err := file.WriteAt(make([]byte, 10000), 0); err != nil {
			return err
		}
		return file.Sync()
	}
	for _, c := range []struct {
		name string
		f    Faults
		want error
	}{
		{"healthy", Faults{}, nil},
		{"full", Faults{Bytes: 9000}, nil}, // the file has that size already
		{"read-only", Faults{ReadOnly: true}, syscall.EROFS},
		{"write fails", Faults{WriteErr: true}, syscall.EIO},
		{"fsync fails", Faults{SyncErr: true}, syscall.EIO},
		{"short writes", Faults{ShortWrite: true}, nil},
	} {
		if err := try(c.f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	d.Set(Faults{Bytes: 20000, Inodes: 3})
	if err := os.WriteFile(filepath.Join(d.Dir, "big"), make([]byte, 15000), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a disk without space: %v", err)
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "third"), nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a disk without inodes: %v", err)
	}
	if c := d.Counts(); c.Writes == 0 || c.Syncs == 0 {
		t.Errorf("counts %+v", c)
	}
}
