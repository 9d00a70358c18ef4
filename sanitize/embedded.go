package sanitize

import (
	"fmt"
	"io"
)

// maxEmbedded is how many files of one document are put beside it; more would
// bury the mail.
const maxEmbedded = 20

// Embedded takes the files that are found inside one document, for who treats
// that document. The zero Embedded is ready.
type Embedded struct {
	n int
}

// Wanted reports whether files inside the document are put beside it: the
// profile says so, and it came in a mail, where they have a place.
func (e *Embedded) Wanted(s *Session) bool { return s.Options.Embedded && s.InMail() }

// Beside puts a file next to its host where it is wanted and of a kind that is
// treated. A program would hold the mail, and nobody misses it as a part of the
// document.
func (e *Embedded) Beside(s *Session, in Object) bool {
	if !e.Wanted(s) || e.n >= maxEmbedded || in.Size > s.Options.Limits.OutputBytes {
		return false
	}
	d, err := s.Detect(in)
	if err != nil {
		return false // nobody knows what it is
	}
	switch d.Kind.Class() {
	case ClassOffice, ClassLegacyOffice, ClassPDF, ClassImage, ClassText, ClassCSV, ClassHTML:
	default:
		return false
	}
	e.n++
	s.Beside(in)
	return true
}

// Packed is Beside for a file that is packed in an object of host. One without a
// name is called by its number. It returns the name.
func (e *Embedded) Packed(s *Session, host Object, name string, file io.ReaderAt, size int64) (string, bool) {
	n := e.n + 1
	if name == "" {
		name = fmt.Sprintf("object%d", n)
	}
	in := Object{ReaderAt: file, Size: size, Path: fmt.Sprintf("%s/%d", host.Path, n), Name: name, Names: []string{name}}
	return name, e.Beside(s, in)
}
