package corpustest

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"sekisho/sanitize"
)

// Beside treats in as part 2 of what s treats, and gives what was written, what
// was put beside it (its path, its name and its octets, between blanks), and the
// codes of what was found, in order.
func Beside(t *testing.T, s *sanitize.Session, in []byte) (out []byte, beside, codes []string) {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2"}, &b); err != nil {
		t.Fatal(err)
	}
	if err := s.EachBeside(0, func(o sanitize.Object) error {
		file, err := io.ReadAll(o.Reader())
		beside = append(beside, o.Path+" "+o.Name+" "+string(file))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Parts()[0].Findings {
		codes = append(codes, f.Rule)
	}
	slices.Sort(codes)
	return b.Bytes(), beside, codes
}
