package sanitize

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
