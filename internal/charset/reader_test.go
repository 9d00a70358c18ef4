package charset

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderEqualsDecode(t *testing.T) {
	long := strings.Repeat("ASCII only so far.\r\n", 4000) + strings.Repeat(letter, 3000)
	for _, label := range []string{"", "iso-2022-jp", "shift_jis", "euc-jp", "utf-8", "utf-7", "gb18030"} {
		for _, enc := range []string{"jis", "sjis", "euc", "utf8"} {
			b := encode(t, enc, long)
			want := Decode(label, b)
			for name, src := range map[string]io.Reader{"whole": bytes.NewReader(b), "half": iotest.HalfReader(bytes.NewReader(b)), "data with error": iotest.DataErrReader(bytes.NewReader(b))} {
				r := NewReader(label, src)
				got, err := io.ReadAll(r)
				res := r.Result()
				if err != nil || string(got) != want.Text {
					t.Errorf("%s labelled %q, %s: err %v, %d bytes, want %d", enc, label, name, err, len(got), len(want.Text))
				}
				if res.Text = want.Text; res != want {
					t.Errorf("%s labelled %q, %s: result differs", enc, label, name)
				}
			}
		}
	}
}

func TestReaderDropsControls(t *testing.T) {
	r := NewReader("utf-8", iotest.OneByteReader(strings.NewReader("a\x00b\u0085日\x1b\n")))
	r.DropControls = true
	b, err := io.ReadAll(r)
	if string(b) != "ab日\n" || err != nil || r.Result().Dropped != 3 {
		t.Errorf("got %q, %v, %+v", b, err, r.Result())
	}
}

func TestReaderHandsOnTheError(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader("shift_jis", io.MultiReader(bytes.NewReader(encode(t, "sjis", letter)), iotest.ErrReader(broken)))
	b, err := io.ReadAll(r)
	if string(b) != letter || !errors.Is(err, broken) {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestReaderMemoryIsBounded(t *testing.T) {
	chunk := encode(t, "sjis", strings.Repeat(letter, 100))
	n := 0
	src := readerFunc(func(p []byte) (int, error) {
		if n++; n > 3000 {
			return 0, io.EOF
		}
		return copy(p, chunk), nil
	})
	r := NewReader("", src)
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if held := cap(r.in) + cap(r.out) + cap(r.s.held); held > 8*window {
		t.Errorf("holds %d bytes after a long text", held)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type stepReader struct {
	b    []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(r.step, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}

func BenchmarkReaderCP932(b *testing.B) {
	text := encode(b, "sjis", strings.Repeat(letter, 5000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		io.Copy(io.Discard, NewReader("shift_jis", bytes.NewReader(text)))
	}
}
