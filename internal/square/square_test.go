package square

import (
	"bytes"
	"image/png"
	"testing"
)

// TestTheSquareIsAPicture: a document that shows it must open.
func TestTheSquareIsAPicture(t *testing.T) {
	m, err := png.Decode(bytes.NewReader(PNG()))
	if err != nil || m.Bounds().Dx() != 64 || m.Bounds().Dy() != 64 {
		t.Fatalf("%v, %v", m, err)
	}
	if !bytes.Equal(PNG(), PNG()) {
		t.Error("it differs from call to call: no output would be stable")
	}
}
