package sanitize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// A Hook is what the worker is told of a Converter.
type Hook struct {
	Number int    `json:"number"` // among the converters of this run, from 1
	Name   string `json:"name"`
}

// What stands for a file in the arguments of a converter.
const (
	ConverterIn  = "{in}"  // the file
	ConverterOut = "{out}" // where the PDF is expected; where neither this nor the folder is named, it is the standard output
	ConverterDir = "{dir}" // the folder in which it is expected, under the name of the file with .pdf
)

// ConverterKinds are the kinds that a converter may treat: documents and
// drawings that nothing here rebuilds. What can run gets no converter, and what
// is rebuilt here needs none.
func ConverterKinds() []Kind {
	return []Kind{KindXDW, KindJTD, KindJTDC, KindJHD, KindJSD, KindJustSystems, KindJAW, KindHWP, KindVSD, KindPUB, KindXPS, KindOPC, KindPS,
		KindDWG, KindDXF, KindJWW, KindSFC, KindP21, KindJP2, KindEPS, KindDICOM}
}

// Bounds of Converter.Time. A mail waits for its converter, and two minutes is
// all that its treatment may take.
const (
	MinConverterTime = time.Second
	MaxConverterTime = time.Minute
)

// Check says what is wrong with a converter, and in which of its settings.
func (c *Converter) Check() (setting string, err error) {
	if !slices.Contains(ConverterKinds(), c.Kind) {
		return "kind", fmt.Errorf("no converter may treat %q", c.Kind)
	}
	if len(c.Command) == 0 || !path.IsAbs(c.Command[0]) {
		return "command", errors.New("want a list with the absolute path of a program first")
	}
	in := false
	for i, a := range c.Command {
		if strings.ContainsRune(a, 0) {
			return "command", fmt.Errorf("word %d has a zero octet", i+1)
		}
		in = in || i > 0 && strings.Contains(a, ConverterIn)
	}
	if !in {
		return "command", fmt.Errorf("no word behind the program says %s, where the name of the file is to stand", ConverterIn)
	}
	if c.Time < MinConverterTime || c.Time > MaxConverterTime {
		return "time", errors.New("want between 1s and 1m")
	}
	for _, p := range c.Paths {
		if err := seenPath(p); err != nil {
			return "paths", err
		}
	}
	if !c.sees(c.Command[0]) {
		return "command", fmt.Errorf("%s lies neither below /usr nor below one of paths, so its sandbox does not have it", c.Command[0])
	}
	if c.Sample != "" && !path.IsAbs(c.Sample) {
		return "sample", errors.New("want an absolute path")
	}
	return "", nil
}

// seenPath says why a path of the host cannot be shown to a converter.
func seenPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return fmt.Errorf("%q is no absolute path below /", p)
	}
	first, _, _ := strings.Cut(p[1:], "/")
	if slices.Contains([]string{"proc", "sys", "dev", "job", "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}, first) {
		return fmt.Errorf("%q cannot be shown: the sandbox has a /%s of its own", p, first)
	}
	return nil
}

// sees reports whether the sandbox of the converter has a file of the host: it
// lies in the system's own folders or in a path that is named.
func (c *Converter) sees(file string) bool {
	for _, p := range append([]string{"/usr", "/bin", "/sbin"}, c.Paths...) {
		if file == p || strings.HasPrefix(file, p+"/") {
			return true
		}
	}
	return false
}

// UseConverters gives a run its converters: the worker is told what they are
// called, the parent keeps the rest. Of two for one kind the first counts.
func (o *Options) UseConverters(all []Converter) {
	o.Converters, o.Hooks = all, nil
	for i, c := range all {
		if _, ok := o.Hooks[c.Kind]; ok {
			continue
		}
		if o.Hooks == nil {
			o.Hooks = map[Kind]Hook{}
		}
		o.Hooks[c.Kind] = Hook{i + 1, c.Name}
	}
}

// AsPDF treats what a converter made in the place of what it made it of: as a
// PDF that came in the mail is, by the profile's steps for PDF, no level
// deeper and no part of its own.
func (s *Session) AsPDF(ctx context.Context, in Object, out io.Writer) (Result, error) {
	d, err := s.Detect(in)
	if err != nil {
		return Result{}, fmt.Errorf("detect: %w", err)
	}
	if d.Kind != KindPDF {
		return Result{}, fmt.Errorf("it wrote %s, not a PDF: %w", d.Kind, ErrTool)
	}
	in.Kind = KindPDF
	made := &Buffer{Most: s.Options.Limits.OutputBytes} // a step that fails begins anew
	p := Part{Kind: KindPDF, Class: ClassPDF}
	steps := s.Options.Rule(ClassPDF).Steps
	if slices.Contains(steps, Convert) && !slices.Contains(steps, Rebuild) {
		// Where converting is all that is asked for, this is what it ends in.
		steps = append([]Mode{Rebuild}, steps...)
	}
	res, err := s.descend(ctx, steps, &p, in, made)
	switch {
	case errors.Is(err, ErrLimit):
		return Result{}, err
	case err != nil:
		// What is wrong with the converter's PDF says nothing against the file.
		return Result{}, fmt.Errorf("its PDF: %w: %w", ErrTool, hidden{err})
	}
	if _, err := io.Copy(out, bytes.NewReader(made.Bytes())); err != nil {
		return Result{}, fmt.Errorf("write: %w", err)
	}
	return res, nil
}

// hidden says what an error says and is none that anybody asks for.
type hidden struct{ err error }

func (h hidden) Error() string { return h.err.Error() }
