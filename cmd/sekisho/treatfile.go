package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
)

type fileTreater struct {
	u          *ui
	runner     worker.Runner
	rules      map[sanitize.Class]sanitize.Rule
	converters []sanitize.Converter
	out        string
	write      bool
}

// print writes one result, and a message for a file that could not be read or
// written.
func (t *fileTreater) print(r fileResult) error {
	u := t.u
	if r.failed != nil {
		u.report(r.failed)
		if !u.json {
			return nil
		}
	}
	if u.json {
		return u.object(r)
	}
	kind := u.kind(r.Kind)
	head := u.word(outcomes, r.Outcome) + "  " + safe(r.File) + "  " + kind
	switch {
	case r.Outcome == sanitize.Refused.String() && len(r.holds) == 0:
		head += "  " + safe(u.fileCause(r))
	case r.Output != "":
		head += "  → " + safe(r.Output)
	}
	u.line("%s", head)
	for _, h := range r.holds {
		w := u.rule(h.code)
		if w == "" {
			w = u.word(classes, h.code)
		}
		u.line("    %s  [%s]  %s", w, safe(h.code), cut(safe(h.detail), 100))
	}
	t.printFindings(r, "    ")
	return nil
}

// fileCause words why a file was refused. What the gateway's profile would
// decide is decided here by the command: there is no profile.
func (u *ui) fileCause(r fileResult) string {
	switch {
	case sanitize.Kind(r.Kind).Class() == sanitize.ClassExecutable:
		return u.tr("プログラムを実行できるファイルに無害な形はありません", "there is no harmless form of a file that can start a program")
	case r.Error == sanitize.ErrWithheld.Error():
		return u.tr("この方法 (--mode) では無害化しません", "not treated by this --mode")
	default:
		// A mail that is refused says by which code.
		code, _, _ := strings.Cut(r.Error, ": ")
		if w := u.rule(code); w != "" {
			return w + "  [" + code + "]"
		}
		return u.cause(r.Error)
	}
}

func (t *fileTreater) printFindings(r fileResult, indent string) {
	u := t.u
	for _, f := range r.Findings {
		u.line("%s%s", indent, u.finding(f.Rule, f.Action, f.Where, f.Detail))
	}
	for _, p := range r.Parts {
		if len(p.Findings) > 0 || p.Outcome != sanitize.Clean.String() {
			u.line("%s", strings.TrimRight(indent+u.word(outcomes, p.Outcome)+"  "+cut(safe(p.File), 80)+"  "+u.kind(p.Kind)+"  "+safe(u.fileCause(p)), " "))
			t.printFindings(p, indent+"    ")
		}
	}
}

// maxFile is the largest file that is taken: what a worker may write.
const maxFile = 256 << 20

// treat examines one file, and stages the output. Nothing has a name yet.
func (t *fileTreater) treat(ctx context.Context, name string, drawn func(done, of int)) (r fileResult) {
	start := time.Now()
	r = fileResult{File: name, Kind: string(sanitize.KindUnknown), Outcome: sanitize.Refused.String(), Findings: []fileFinding{}}
	defer func() { r.ElapsedMS = time.Since(start).Milliseconds() }()
	in, perm, err := t.load(name)
	if err != nil {
		return r.fail(err)
	}
	defer in.Close()
	o := sanitize.Options{Task: sanitize.TaskFile, ID: "-", Now: start, Language: "ja", Rules: t.rules, Codes: true, FileName: filepath.Base(name), Limits: sanitize.DefaultLimits(), Drawn: drawn}
	o.UseConverters(t.converters)
	res, err := t.runner.Run(ctx, o, in)
	if err != nil {
		if unable := errors.Is(err, sandbox.ErrUnconfined) || errors.Is(err, sandbox.ErrUnsupported); unable || ctx.Err() != nil {
			return r.fail(t.unable(err)) // that is no verdict on the file
		}
		r.Error = err.Error()
		return r
	}
	fill(&r, res.Report)
	if res.Output == nil {
		if r.Error == "" {
			r.Error = res.Refusal
		}
		return r.refuse(r.Error)
	}
	defer res.Output.Close()
	// A second, fresh run looks at what the first one made with other eyes.
	v := o
	v.Task, v.KindHint, v.Drawn = sanitize.TaskVerifyFile, sanitize.Kind(r.OutKind), nil
	second, err := t.runner.Run(ctx, v, res.Output)
	switch {
	case err != nil && ctx.Err() != nil:
		return r.fail(t.unable(err))
	case err == nil && (second.Report.Outcome != sanitize.Clean || second.Refusal != "" || len(second.Report.Holds) > 0):
		err = errors.New(second.Refusal)
	}
	if err != nil {
		return r.refuse("verify: " + err.Error())
	}
	if !t.write {
		return r
	}
	if r.target, err = t.target(name, sanitize.Kind(r.OutKind)); err != nil {
		return r.fail(err)
	}
	if r.output, err = stage(filepath.Dir(r.target), io.NewSectionReader(res.Output, 0, res.Size), perm); err != nil {
		return r.fail(err)
	}
	return r
}

// unable words why no worker can run here.
func (t *fileTreater) unable(err error) error {
	u := t.u
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &told{
		text: u.tr("処理を隔離できないため、何も処理できません: ", "the worker cannot be confined here, so nothing is treated: ") + err.Error(),
		hint: u.tr("sekisho doctor で原因を確認できます", "sekisho doctor shows what is missing"),
	}
}

// fail makes r the result of a file that could not be read or written. What
// was found stays; there is no output.
func (r fileResult) fail(err error) fileResult {
	r = r.refuse(err.Error())
	r.failed = err
	return r
}

// refuse makes r the result of a file without a harmless form.
func (r fileResult) refuse(why string) fileResult {
	r.Outcome, r.OutKind, r.Mode, r.SHA256Out, r.Output = sanitize.Refused.String(), "", "", "", ""
	r.Error = why
	return r
}

func (r fileResult) discard() {
	if r.output != nil {
		r.output.drop()
	}
}

// publish gives the output of r its name.
func (t *fileTreater) publish(r *fileResult) {
	if r.output == nil {
		return
	}
	defer r.discard()
	err := r.output.publish(r.target)
	switch {
	case err == nil:
		r.Output = r.target
	case errors.Is(err, fs.ErrExist):
		*r = r.fail(&told{
			text: r.File + t.u.tr(": 出力先がすでにあるため書きません: ", ": the output is there already and is not overwritten: ") + r.target,
			hint: t.u.tr("--out で別のフォルダーを指定するか、そのファイルを移してください", "name another folder by --out, or move that file away"),
		})
	default:
		*r = r.fail(err)
	}
}

// load copies a file into a sealed message: what is judged is what is treated,
// whatever happens to the file meanwhile.
func (t *fileTreater) load(name string) (*worker.Message, fs.FileMode, error) {
	u := t.u
	// Without O_NONBLOCK a named pipe would be waited for.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, err
	case st.IsDir():
		return nil, 0, &told{
			text: name + u.tr(": フォルダーです", ": it is a folder"),
			hint: u.tr("中のファイルを指定してください（例: ", "name the files in it, for instance ") + filepath.Join(name, "*") + u.tr("）", ""),
		}
	case !st.Mode().IsRegular():
		return nil, 0, u.failure("%s: 通常のファイルではありません", "%s: it is no regular file", name)
	case st.Size() > maxFile:
		return nil, 0, u.tooLarge(name, st.Size())
	}
	m, err := worker.NewMessage("file", st.Size())
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(m, io.LimitReader(f, maxFile+1))
	if err == nil && n > maxFile {
		err = u.tooLarge(name, n)
	}
	if err == nil {
		err = m.Seal()
	}
	if err != nil {
		m.Close()
		return nil, 0, err
	}
	return m, st.Mode().Perm(), nil
}

func (u *ui) tooLarge(name string, n int64) error {
	return u.failure("%s: %s あります。扱えるのは %s までです", "%s: %s; the largest that is treated is %s", name, u.size(n), u.size(maxFile))
}

// fill puts a report into the form of contract.md: the file itself is the
// first part, what lies inside follows.
func fill(r *fileResult, rep *sanitize.Report) {
	for i := range rep.Parts {
		p := &rep.Parts[i]
		x := fileResult{File: p.Name, Path: p.Path, Kind: string(p.Kind), OutKind: string(p.OutKind), Outcome: p.Outcome.String(), Mode: p.Mode.String(),
			SHA256In: hexDigest(p.In), Findings: []fileFinding{}, Error: p.Err}
		for _, t := range p.Tried {
			x.Tried = append(x.Tried, fileTried{t.Mode.String(), t.Why})
		}
		if p.Outcome != sanitize.Refused {
			x.SHA256Out = hexDigest(p.Out)
		}
		for _, f := range p.Findings {
			x.Findings = append(x.Findings, fileFinding{Rule: f.Rule, Where: f.Where, Action: string(f.Action), Detail: f.Detail})
		}
		if i == 0 {
			x.File, x.Path = r.File, ""
			*r = x
			continue
		}
		if x.File == "" {
			x.File = p.Path
		}
		r.Parts = append(r.Parts, x)
		if p.Outcome != sanitize.Clean && r.Outcome == sanitize.Clean.String() {
			r.Outcome = sanitize.Disarmed.String()
		}
	}
	for _, h := range rep.Holds {
		r.Outcome = sanitize.Refused.String()
		r.Error = strings.TrimPrefix(r.Error+"; "+h.Code+": "+h.Detail, "; ")
		r.holds = append(r.holds, hold{h.Code, h.Detail})
	}
}

func hexDigest(d sanitize.Digest) string {
	b, _ := d.MarshalText()
	return string(b)
}

// target names the output of a file that became one of kind out.
func (t *fileTreater) target(name string, out sanitize.Kind) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	base := filepath.Base(abs)
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	if stem == "" { // .docx: a name that is all extension
		stem, ext = base, ""
	}
	if !slices.Contains(out.Extensions(), strings.ToLower(ext)) {
		ext = out.Facts().Ext
	}
	if t.out != "" {
		return filepath.Join(t.out, stem+ext), nil
	}
	return filepath.Join(filepath.Dir(abs), stem+".disarmed"+ext), nil
}
