package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
)

// fileResult is one line of `sanitize --json`, contract.md.
type fileResult struct {
	File      string        `json:"file"`
	Kind      string        `json:"kind"`
	OutKind   string        `json:"out_kind"`
	Outcome   string        `json:"outcome"`
	Mode      string        `json:"mode"`
	Output    string        `json:"output"`
	SHA256In  string        `json:"sha256_in"`
	SHA256Out string        `json:"sha256_out"`
	Findings  []fileFinding `json:"findings"`
	Error     string        `json:"error"`
	ElapsedMS int64         `json:"elapsed_ms"`
	Parts     []fileResult  `json:"parts,omitempty"`
	failed    error         // the file could not be read or written
}

type fileFinding struct {
	Rule   string `json:"rule"`
	Where  string `json:"where"`
	Action string `json:"action"`
	Detail string `json:"detail"`
}

func sanitizeCommand(u *ui) *cobra.Command {
	var mode, out string
	c := command(u, "sanitize FILE...", "手元のファイルを無害化する", "make local files harmless, in the isolated worker",
		u.tr("メール（.eml）もファイルとして扱います。--out がなければ入力の隣に NAME.disarmed.EXT として書き、上書きはしません。",
			"A mail (.eml) is a file like any other. Without --out the output stands beside the input as NAME.disarmed.EXT; nothing is ever overwritten."), "0123",
		func(cmd *cobra.Command, args []string) error {
			return treatFiles(cmd.Context(), u, args, mode, out, true)
		})
	c.Args = someFiles
	c.Flags().StringVar(&mode, "mode", "auto", "auto|rebuild|convert|flatten|text")
	c.Flags().StringVar(&out, "out", "", u.tr("出力先のフォルダー", "folder for the outputs"))
	return c
}

func inspectCommand(u *ui) *cobra.Command {
	c := command(u, "inspect FILE...", "同じ検査をして、何も書かない", "the same examination, nothing written", "", "0123",
		func(cmd *cobra.Command, args []string) error {
			return treatFiles(cmd.Context(), u, args, "auto", "", false)
		})
	c.Args = someFiles
	return c
}

func someFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s wants at least one file: %w", cmd.CommandPath(), errUsage)
	}
	return nil
}

// fileRules are what a file at hand is treated by: every class that can be
// treated is, everything else is refused. auto walks the ladder; another mode
// is that step alone.
func fileRules(mode string) (map[sanitize.Class]sanitize.Rule, error) {
	step := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	rules := map[sanitize.Class]sanitize.Rule{}
	rebuilt := []sanitize.Class{sanitize.ClassText, sanitize.ClassCSV, sanitize.ClassImage, sanitize.ClassOffice, sanitize.ClassMessage}
	switch mode {
	case "auto":
		for _, c := range append(rebuilt, sanitize.ClassHTML) {
			rules[c] = step
		}
	case "rebuild", "strip":
		for _, c := range rebuilt {
			rules[c] = step
		}
	case "text":
		rules[sanitize.ClassHTML], rules[sanitize.ClassText] = step, step
	case "convert", "flatten":
		return nil, fmt.Errorf("--mode %s is not built yet; use auto, rebuild or text: %w", mode, errUsage)
	default:
		return nil, fmt.Errorf("--mode %s: want auto, rebuild, convert, flatten or text: %w", mode, errUsage)
	}
	return rules, nil
}

func treatFiles(ctx context.Context, u *ui, files []string, mode, out string, write bool) error {
	rules, err := fileRules(mode)
	if err != nil {
		return err
	}
	bin, err := beside("sekisho-sanitizer")
	if err != nil {
		return err
	}
	if out != "" {
		if out, err = filepath.Abs(out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		if err := os.MkdirAll(out, 0o777); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	t := &fileTreater{runner: worker.Runner{Binary: bin, Profile: sandbox.Worker()}, rules: rules, out: out, write: write}
	results := make([]chan fileResult, len(files))
	for i := range results {
		results[i] = make(chan fileResult, 1)
	}
	// One worker a core; results are printed in the order of the arguments.
	slots := make(chan struct{}, runtime.NumCPU())
	var wg sync.WaitGroup
	go func() {
		for i, f := range files {
			slots <- struct{}{}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				results[i] <- t.treat(ctx, f)
			}()
		}
	}()
	bar := newProgress(len(files), u.json)
	refused, failed := false, false
	for i, f := range files {
		bar.show(i, filepath.Base(f))
		r := <-results[i]
		bar.clear()
		switch {
		case r.failed != nil:
			failed = true
		case r.Outcome == sanitize.Refused.String():
			refused = true
		}
		if u.json {
			if err := u.object(r); err != nil {
				return err
			}
			continue
		}
		t.print(u, r)
	}
	wg.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed:
		return errShown
	case refused:
		return fmt.Errorf("%w%w", errShown, errRefused)
	default:
		return nil
	}
}

type fileTreater struct {
	runner worker.Runner
	rules  map[sanitize.Class]sanitize.Rule
	out    string
	write  bool
	mu     sync.Mutex // names of outputs are taken one at a time
}

func (t *fileTreater) print(u *ui, r fileResult) {
	if r.failed != nil {
		u.say("%s: %s", "%s: %s", safe(r.File), safe(r.failed.Error()))
		return
	}
	word := map[string]string{"clean": u.tr("無害", "clean"), "disarmed": u.tr("無害化済", "disarmed"), "refused": u.tr("不可", "refused")}[r.Outcome]
	end := ""
	switch {
	case r.Outcome == "refused":
		end = "  " + safe(r.Error)
	case r.Output != "":
		end = "  → " + safe(r.Output)
	}
	u.line("%s  %s  %s%s", word, safe(r.File), r.Kind, end)
	t.printFindings(u, r, "    ")
}

func (t *fileTreater) printFindings(u *ui, r fileResult, indent string) {
	for _, f := range r.Findings {
		u.line("%s%s  %s  %s  %s", indent, f.Rule, f.Action, safe(f.Where), safe(cut(f.Detail, 80)))
	}
	for _, p := range r.Parts {
		if len(p.Findings) > 0 || p.Outcome != "clean" {
			u.line("%s%s  %s  %s  %s", indent, safe(p.File), p.Kind, p.Outcome, safe(p.Error))
			t.printFindings(u, p, indent+"    ")
		}
	}
}

// maxFile is the largest file that is taken: what a worker may write.
const maxFile = 256 << 20

func (t *fileTreater) treat(ctx context.Context, name string) (r fileResult) {
	start := time.Now()
	r = fileResult{File: name, Kind: string(sanitize.KindUnknown), Outcome: sanitize.Refused.String(), Findings: []fileFinding{}}
	defer func() {
		r.ElapsedMS = time.Since(start).Milliseconds()
		if r.failed != nil && r.Error == "" {
			r.Error = r.failed.Error()
		}
	}()
	in, err := load(name)
	if err != nil {
		r.failed = err
		return r
	}
	defer in.Close()
	now := time.Now()
	o := sanitize.Options{Task: sanitize.TaskFile, ID: "-", Now: now, Language: "ja", Rules: t.rules, FileName: filepath.Base(name), Limits: sanitize.DefaultLimits()}
	res, err := t.runner.Run(ctx, o, in)
	if err != nil {
		r.Error = err.Error()
		if errors.Is(err, sandbox.ErrUnconfined) || errors.Is(err, sandbox.ErrUnsupported) {
			r.failed = err // nothing can be treated on this machine; that is no verdict on the file
		}
		return r
	}
	fill(&r, res.Report)
	if res.Output == nil {
		r.Outcome, r.OutKind, r.Mode, r.SHA256Out = sanitize.Refused.String(), "", "", ""
		if r.Error == "" {
			r.Error = res.Refusal
		}
		return r
	}
	defer res.Output.Close()
	v := o
	v.Task, v.KindHint = sanitize.TaskVerifyFile, sanitize.Kind(r.OutKind)
	second, err := t.runner.Run(ctx, v, res.Output)
	if err == nil && (second.Report.Outcome != sanitize.Clean || second.Refusal != "") {
		err = errors.New(second.Refusal)
	}
	if err != nil {
		r.Outcome, r.OutKind, r.Mode, r.SHA256Out = sanitize.Refused.String(), "", "", ""
		r.Error = "verify: " + err.Error()
		return r
	}
	if t.write {
		if r.Output, r.failed = t.store(name, sanitize.Kind(r.Kind), sanitize.Kind(r.OutKind), res.Output, res.Size); r.failed != nil {
			r.Output = ""
		}
	}
	return r
}

// load copies a file into sealed memory: what is judged is what is treated,
// whatever happens to the file meanwhile.
func load(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	m, err := worker.Memory("file")
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(m, io.LimitReader(f, maxFile+1))
	if err == nil && n > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", name, maxFile>>20)
	}
	if err == nil {
		err = worker.Seal(m)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// fill puts a report into the form of contract.md: the file itself is the
// first part, what lies inside follows.
func fill(r *fileResult, rep *sanitize.Report) {
	for i := range rep.Parts {
		p := &rep.Parts[i]
		x := fileResult{File: p.Name, Kind: string(p.Kind), OutKind: string(p.OutKind), Outcome: p.Outcome.String(), Mode: p.Mode.String(),
			SHA256In: hexDigest(p.In), Findings: []fileFinding{}, Error: p.Err}
		if p.Outcome != sanitize.Refused {
			x.SHA256Out = hexDigest(p.Out)
		}
		for _, f := range p.Findings {
			x.Findings = append(x.Findings, fileFinding{Rule: f.Rule, Where: f.Where, Action: string(f.Action), Detail: f.Detail})
		}
		if i == 0 {
			x.File = r.File
			*r = x
			continue
		}
		x.File = p.Path
		if p.Name != "" {
			x.File += " " + p.Name
		}
		r.Parts = append(r.Parts, x)
		if p.Outcome != sanitize.Clean && r.Outcome == sanitize.Clean.String() {
			r.Outcome = sanitize.Disarmed.String()
		}
	}
	for _, h := range rep.Holds {
		r.Outcome = sanitize.Refused.String()
		r.Error = strings.TrimPrefix(r.Error+"; "+h.Code+": "+h.Detail, "; ")
	}
}

func hexDigest(d sanitize.Digest) string {
	b, _ := d.MarshalText()
	return string(b)
}

// store writes the output under a name of its own and never over another file.
func (t *fileTreater) store(name string, in, out sanitize.Kind, f *os.File, size int64) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	base := filepath.Base(abs)
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if stem == "" {
		stem, ext = base, ""
	}
	if !slices.Contains(out.Extensions(), strings.ToLower(ext)) {
		ext = out.Facts().Ext
	}
	to := filepath.Join(filepath.Dir(abs), stem+".disarmed"+ext)
	if t.out != "" {
		to = filepath.Join(t.out, stem+ext)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// Staged beside the target and linked: a crash leaves no half of a file
	// under the final name, and a file that is there is not touched.
	tmp, err := os.CreateTemp(filepath.Dir(to), ".sekisho-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	if _, err := io.Copy(tmp, io.NewSectionReader(f, 0, size)); err != nil {
		tmp.Close()
		return "", err
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(tmp.Name(), to); err != nil {
		if errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("%s is there already and is not overwritten", to)
		}
		return "", err
	}
	return to, nil
}
