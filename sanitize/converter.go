package sanitize

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// A Converter is a command of the administrator's that makes a PDF of files of
// one kind that nothing here treats: DocuWorks with the maker's own program,
// say. The parent runs it like any tool, in a sandbox of its own; the PDF is as
// hostile as the file was, and is treated like one that came in the mail.
type Converter struct {
	Name    string // for the report, the log and doctor
	Kind    Kind
	Command []string // an absolute path and its arguments, see ConverterIn
	Paths   []string // what it sees of the host beside the system, to read
	Time    time.Duration
	Sample  string // a file of the kind, by which doctor tries it; may be ""
}

// What stands for a file in the arguments of a converter.
const (
	ConverterIn  = "{in}"  // the file
	ConverterOut = "{out}" // where the PDF is expected; where neither this nor the folder is named, it is the standard output
	ConverterDir = "{dir}" // the folder in which it is expected, under the name of the file with .pdf
)

// ConverterClasses are the classes of which a converter may treat kinds: what
// is rebuilt here needs none, and what can run gets none.
func ConverterClasses() []Class { return []Class{ClassUnknown, ClassIchitaro, ClassImage} }

// ParseKind reads the name of a kind as reports have it.
func ParseKind(s string) (Kind, bool) {
	_, ok := kinds[Kind(s)]
	return Kind(s), ok
}

// Kinds are the names of all kinds of a class, in order.
func (c Class) Kinds() []string {
	var out []string
	for k, f := range kinds {
		if f.Class == c {
			out = append(out, string(k))
		}
	}
	slices.Sort(out)
	return out
}

// Check says what is wrong with a converter.
func (c *Converter) Check() error {
	if len(c.Command) == 0 || !path.IsAbs(c.Command[0]) {
		return fmt.Errorf("want a list with the absolute path of a program first")
	}
	in := 0
	for i, a := range c.Command {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("argument %d has a zero octet", i)
		}
		if i > 0 {
			in += strings.Count(a, ConverterIn)
		}
	}
	switch {
	case in == 0:
		return fmt.Errorf("no argument says %s, where the name of the file is to stand", ConverterIn)
	case !slices.Contains(ConverterClasses(), c.Kind.Class()):
		return fmt.Errorf("no converter may treat %s", c.Kind)
	case c.Time < time.Second || c.Time > time.Minute:
		return fmt.Errorf("want a time between 1s and 1m")
	}
	for _, p := range c.Paths {
		if err := seenPath(p); err != nil {
			return err
		}
	}
	if !c.Sees(c.Command[0]) {
		return fmt.Errorf("%s lies neither below /usr nor in paths, so its sandbox does not have it", c.Command[0])
	}
	return nil
}

// seenPath says whether a path of the host can be shown to a converter.
func seenPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return fmt.Errorf("%q: want absolute paths below /", p)
	}
	first, _, _ := strings.Cut(p[1:], "/")
	if slices.Contains([]string{"proc", "sys", "dev", "job", "usr", "bin", "sbin", "lib", "lib32", "lib64"}, first) {
		return fmt.Errorf("%q: /usr and what the system needs are there, and %s is the sandbox's own", p, "/"+first)
	}
	return nil
}

// Sees reports whether the sandbox of the converter has a file of the host: it
// lies in the system's own folders or in a path that is named.
func (c *Converter) Sees(file string) bool {
	for _, p := range append([]string{"/usr", "/bin", "/sbin"}, c.Paths...) {
		if file == p || strings.HasPrefix(file, p+"/") {
			return true
		}
	}
	return false
}
