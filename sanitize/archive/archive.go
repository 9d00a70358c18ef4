// Package archive makes plain ZIP archives harmless. An archive comes in, every
// member is treated like an attachment of the mail itself, and a new archive
// goes out that holds what came of them: names in UTF-8, no times, no
// attributes, no comments.
//
// The archive is read by internal/zipstrict, so one that two readers could see
// differently is refused as a whole. A member that no file may become (a path
// that leads out, a link, a device) is removed; one that has no harmless form,
// that is larger than the message may still spend, or that the profile keeps
// back stays out and is a part of the report, which the notice names and an
// administrator can release. What only the sender's file manager knew of
// (__MACOSX, .DS_Store, Thumbs.db, empty folders) is dropped without a word.
//
// Nothing is ever written to a path that an archive names, and no member is
// kept in memory unpacked unless it is small: large ones are unpacked again as
// they are read (member.go), and what comes of them is packed at once
// (stage.go).
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sekisho/internal/header"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// ZIP treats plain ZIP archives. It keeps no state.
type ZIP struct{}

// Sanitize writes the harmless form of the archive in to out.
func (ZIP) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	z, err := zipstrict.Open(in.ReaderAt, in.Size, zipstrict.Limits{Entries: s.Options.Limits.Entries})
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("open archive: %w", mapZIP(err))
	}
	if err := s.SpendEntries(len(z.Files)); err != nil {
		return sanitize.Result{}, err
	}
	a := &repacker{ctx: ctx, s: s, in: in, names: map[string]bool{}}
	a.out = zipstrict.NewWriter(&bounded{w: out, left: s.Options.Limits.OutputBytes})
	for i := range z.Files {
		if err := ctx.Err(); err != nil {
			return sanitize.Result{}, err
		}
		if err := a.member(&z.Files[i], fmt.Sprintf("%s/%d", in.Path, i+1)); err != nil {
			return sanitize.Result{}, err
		}
	}
	if a.kept == 0 && a.opened > 0 {
		// All that goes on stands beside it now.
		return sanitize.Result{Outcome: sanitize.Disarmed, Kind: sanitize.KindOpened, Mode: sanitize.Rebuild}, nil
	}
	if a.kept == 0 && a.lost != nil {
		// An empty archive would tell nobody anything.
		return sanitize.Result{}, fmt.Errorf("nothing of the archive is left: %w", a.lost)
	}
	if err := a.out.Close(); err != nil {
		return sanitize.Result{}, fmt.Errorf("end archive: %w", mapZIP(err))
	}
	if a.junk > 0 {
		s.Found(sanitize.Finding{Rule: "archive.junk", Action: sanitize.Rewritten, Detail: fmt.Sprint(a.junk)})
	}
	res := sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindZIP, Mode: sanitize.Rebuild}
	if a.changed || a.lost != nil {
		res.Outcome = sanitize.Disarmed
	}
	return res, nil
}

// repacker is the treatment of one archive.
type repacker struct {
	ctx     context.Context
	s       *sanitize.Session
	in      sanitize.Object
	out     *zipstrict.Writer
	stage   stage
	names   map[string]bool // keys of the names written
	kept    int             // members that went on
	opened  int             // members of which nothing is left: what they held stands beside the archive
	junk    int
	changed bool  // a member went on without something it had
	lost    error // why the first member that did not go on did not
}

// member treats one member.
func (a *repacker) member(f *zipstrict.File, at string) error {
	name := f.Name
	switch {
	case f.IsDir && f.Trick == "":
		return nil // a folder is there when a file is in it
	case junk(name, f):
		a.junk++
		return nil
	case !a.s.Options.Selected(at):
		return nil
	}
	if why := refused(f); why != "" {
		a.remove(f, at, why)
		return nil
	}
	m := &member{f: f, meter: a.s.Meter}
	if f.Size > a.s.Room() {
		a.withhold(f, at, fmt.Errorf("%d bytes unpacked: %w", f.Size, sanitize.ErrLimit))
		return nil
	}
	if err := m.load(); err != nil {
		// Its checksum or its length is a lie: of the archive, not of this file.
		return fmt.Errorf("member %s: %w", at, mapZIP(err))
	}
	if strings.HasPrefix(path.Base(name), "._") && m.appleDouble() {
		a.junk++
		return nil
	}
	a.stage.reset(a.s.Options.Limits.OutputBytes)
	base := path.Base(name)
	before := len(a.s.Parts())
	res, err := a.s.Nested(a.ctx, sanitize.Object{ReaderAt: m, Size: f.Size, Path: at, Name: base, Names: []string{base}}, &a.stage)
	if err == nil {
		err = a.stage.close()
	}
	if m.err != nil {
		return fmt.Errorf("member %s: %w", at, mapZIP(m.err))
	}
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case err != nil && len(a.s.Parts()) == before:
		return err
	case err != nil:
		a.lose(err)
		return nil
	}
	if res.Kind == sanitize.KindOpened {
		a.opened++
		a.changed = true
		return nil
	}
	out := a.place(name, res.Kind)
	a.s.Parts()[before].OutName = path.Base(out)
	if err := a.stage.write(a.out, out); err != nil {
		return fmt.Errorf("write member %s: %w", at, mapZIP(err))
	}
	a.kept++
	if res.Outcome != sanitize.Clean {
		a.changed = true
	}
	return nil
}

func (a *repacker) lose(err error) {
	if a.lost == nil {
		a.lost = err
	}
}

// refused says why a member may not become a file under any name, "" if it may.
func refused(f *zipstrict.File) string {
	switch f.Trick {
	case "", zipstrict.Backslash, zipstrict.EmptyPart:
		// QUIRK: old .NET programs write backslashes, others "./" in front. The
		// name is written anew, and two that become one were refused.
		return ""
	case zipstrict.Drive:
		// A colon is a time of day more often than a drive; cleaning the name
		// takes it out. "C:" at the beginning is a place.
		if len(f.Name) > 1 && f.Name[1] == ':' {
			return string(f.Trick)
		}
		return ""
	default:
		return string(f.Trick)
	}
}

// remove records a member that is no file. Its name is what is wrong with it,
// so nothing repeats it; the extension tells what it meant to be.
func (a *repacker) remove(f *zipstrict.File, at, why string) {
	a.s.AddPart(sanitize.Part{
		Path: at, Kind: sanitize.KindUnknown, Class: sanitize.ClassUnknown, Outcome: sanitize.Refused, Fate: sanitize.Dropped, Size: f.Size,
		Findings: []sanitize.Finding{{Rule: "archive.member", Where: at, Action: sanitize.Removed, Detail: why}}, Err: why,
	})
	a.lose(sanitize.ErrWithheld)
}

// withhold records a member that is not opened.
func (a *repacker) withhold(f *zipstrict.File, at string, err error) {
	p := sanitize.Part{Path: at, Name: path.Base(f.Name), Kind: sanitize.KindUnknown, Class: sanitize.ClassUnknown, Outcome: sanitize.Refused, Size: f.Size, Err: err.Error()}
	if a.s.Options.RuleOf(p.Kind).Drop {
		p.Fate = sanitize.Dropped
	}
	a.s.AddPart(p)
	a.lose(err)
}

// junk reports what file managers leave in archives and no reader asks for.
func junk(name string, f *zipstrict.File) bool {
	if first, _, ok := strings.Cut(name, "/"); ok && first == "__MACOSX" {
		return f.Mode&fs.ModeSymlink == 0
	}
	switch strings.ToLower(path.Base(name)) {
	case ".ds_store", "thumbs.db", "ehthumbs.db", "icon\r":
		return true
	}
	return false
}

// maxFolders bounds the folders of a name: with a file name of 255 bytes it
// stays what programs for Windows and macOS unpack.
const maxFolders = 512

// place gives a member its name in the new archive: every folder and the file
// cleaned, and none twice.
func (a *repacker) place(name string, k sanitize.Kind) string {
	var dirs []string
	segments := strings.Split(name, "/")
	for _, d := range segments[:len(segments)-1] {
		if strings.TrimRight(d, " .") != "" {
			dirs = append(dirs, folder(d))
		}
	}
	n := len(dirs)
	for _, d := range dirs {
		n += len(d)
	}
	for len(dirs) > 0 && n > maxFolders {
		n -= len(dirs[0]) + 1
		dirs = dirs[1:]
	}
	base := k.FileName(segments[len(segments)-1])
	out := strings.Join(append(slices.Clone(dirs), base), "/")
	ext := path.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	for i := 2; a.taken(out); i++ {
		// Two names that were told apart by what may not stay in them.
		tail := fmt.Sprintf(" (%d)", i)
		room := 255 - len(tail) - len(ext)
		out = strings.Join(append(slices.Clone(dirs), k.FileName(cut(stem, room)+tail+ext)), "/")
	}
	for key := zipstrict.Key(out); ; key = key[:strings.LastIndexByte(key, '/')] {
		a.names[key] = a.names[key] || key == zipstrict.Key(out)
		if !strings.Contains(key, "/") {
			return out
		}
	}
}

// taken reports whether a member of this name would collide: with a file, with
// a folder, or by lying in a file.
func (a *repacker) taken(name string) bool {
	key := zipstrict.Key(name)
	if _, ok := a.names[key]; ok {
		return true
	}
	for strings.Contains(key, "/") {
		key = key[:strings.LastIndexByte(key, '/')]
		if a.names[key] {
			return true
		}
	}
	return false
}

// folder cleans the name of a folder. A folder has no extension to hide: what
// looks like one that can run is defused as in the middle of a name.
func folder(name string) string {
	return strings.TrimSuffix(header.CleanName(name+".x", "x"), ".x")
}

// cut shortens s to n bytes between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// mapZIP translates the errors of zipstrict.
func mapZIP(err error) error {
	for _, m := range []struct{ from, to error }{
		{zipstrict.ErrAmbiguous, sanitize.ErrAmbiguous},
		{zipstrict.ErrLimit, sanitize.ErrLimit},
		{zipstrict.ErrEncrypted, sanitize.ErrEncrypted},
		{zipstrict.ErrMalformed, sanitize.ErrMalformed},
		{zipstrict.ErrUnsupported, sanitize.ErrUnsupported},
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", err, m.to)
		}
	}
	return err
}

// bounded stops an output that grows over what a run may write.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("output: %w", sanitize.ErrLimit)
	}
	return b.w.Write(p)
}
