package pdf

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"sekisho/sanitize"
)

// TestAFileInsideIsPutBesideItInAMail: in a mail there is a place for it.
func TestAFileInsideIsPutBesideItInAMail(t *testing.T) {
	b := page("/Names << /EmbeddedFiles << /Names [(a) 6 0 R (b) 6 0 R] >> >> /AF [6 0 R]", "",
		"<< /Type /Filespec /F (x.txt) /UF <feff4e00002e007400780074> /EF << /F 7 0 R >> >>", packed("/Type /EmbeddedFile", "a text"))
	s := session(len(b), func(o *sanitize.Options) { o.Task = sanitize.TaskMail })
	var out bytes.Buffer
	if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2"}, &out); err != nil {
		t.Fatal(err)
	}
	var beside []string
	if err := s.EachBeside(0, func(o sanitize.Object) error {
		d := make([]byte, o.Size)
		_, err := o.ReadAt(d, 0)
		beside = append(beside, o.Path+" "+o.Name+" "+string(d))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(beside) != 1 || beside[0] != "2/1 一.txt a text" {
		t.Errorf("beside it stand %q", beside)
	}
	if f := s.Parts()[0].Findings; len(f) != 1 || f[0].Rule != "pdf.attachment-beside" {
		t.Errorf("found %v", f)
	}
}

func TestAProgramInsideIsNotPutBeside(t *testing.T) {
	b := page("/Names << /EmbeddedFiles << /Names [(a) 6 0 R] >> >>", "", "<< /Type /Filespec /F (x.js) /EF << /F 7 0 R >> >>", packed("/Type /EmbeddedFile", "WScript.Echo(1)"))
	s := session(len(b), func(o *sanitize.Options) { o.Task = sanitize.TaskMail })
	s.Detect = func(o sanitize.Object) (sanitize.Detection, error) {
		if o.Name == "x.js" {
			return sanitize.Detection{Kind: sanitize.KindScript}, nil
		}
		return sanitize.Detection{Kind: sanitize.KindPDF}, nil
	}
	if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := s.EachBeside(0, func(o sanitize.Object) error { return fmt.Errorf("%s stands beside it", o.Name) }); err != nil {
		t.Error(err)
	}
	if f := s.Parts()[0].Findings; len(f) != 1 || f[0].Rule != "pdf.attachment" || f[0].Detail != "x.js" {
		t.Errorf("found %v", f)
	}
}
