package header

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func read(t testing.TB, s string) (Block, string) {
	t.Helper()
	r := bufio.NewReaderSize(strings.NewReader(s), 16)
	b, err := ReadBlock(r, Limits{})
	if err != nil {
		t.Fatalf("%.60q: %v", s, err)
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b, string(rest)
}

func TestBlockKeepsEveryByteAndOffset(t *testing.T) {
	const s = "Received: from a\r\n\tby b\r\nSubject:  x \r\nsubject:y\r\nX-Empty:\r\n\r\nbody\r\n"
	b, rest := read(t, s)
	if rest != "body\r\n" || b.Size != int64(len(s)-len(rest)) || b.Flags != 0 || len(b.Fields) != 4 {
		t.Fatalf("got %+v, rest %q", b, rest)
	}
	var all []byte
	for _, f := range b.Fields {
		if f.Offset != int64(len(all)) {
			t.Errorf("%s: offset %d, want %d", f.Name, f.Offset, len(all))
		}
		all = append(all, f.Raw...)
	}
	if string(all)+"\r\n" != s[:b.Size] {
		t.Errorf("fields are %q", all)
	}
	if v := b.Fields[0].Value(); v != " from a\r\n\tby b" {
		t.Errorf("value is %q", v)
	}
	if n := b.Count("SUBJECT"); n != 2 {
		t.Errorf("%d subjects, want 2", n)
	}
	if f := b.All("subject"); len(f) != 2 || f[1].Value() != "y" || f[0].Value() != "  x " {
		t.Errorf("subjects are %v", f)
	}
	if _, ok := b.First("missing"); ok {
		t.Error("found a field that is not there")
	}
}

func TestOdditiesOfBlocksAreFlagged(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  Flags
		names string
	}{
		{"A: b\r\n\r\n", 0, "A"},
		{"\r\nbody", 0, ""},
		{"A: b\n\n", BareLF, "A"},
		{"A : b\r\n\r\n", SpaceBeforeColon, "A"},
		{"From : b\r\n\r\n", SpaceBeforeColon, "From"},
		{"A: b\r\nno field\r\nC: d\r\n\r\n", NoColon, "A,,C"},
		{"From a@b Thu Jan  1 00:00:00 1970\r\nA: b\r\n\r\n", MboxFrom, ",A"},
		{">From a@b Thu\r\nA: b\r\n\r\n", MboxFrom, ",A"},
		{"A: b\r\nFrom a@b Thu Jan 1 1970\r\n\r\n", NoColon, "A,"},
		{"A: b\x00\r\n\r\n", NUL, "A"},
		{"A: b\rC: d\r\n\r\n", BareCR, "A"},
		{"A: b\r\r\n\r\n", BareCR, "A"},
		{"A: b\r\n\r\r\nC: d\r\n\r\n", BareCR | NoColon, "A,,C"},
		{"A: 日本\r\n\r\n", EightBit, "A"},
		{": b\r\n\r\n", EmptyName, ""},
		{"A b: c\r\n\r\n", BadName, "A b"},
		{"日: c\r\n\r\n", BadName | EightBit, "日"},
		{" A: b\r\nC: d\r\n\r\n", FoldedFirst, ",C"},
		{"A: b\r\n \t\r\n c\r\n\r\n", BlankFold, "A"},
		{"A: " + strings.Repeat("x", 1000) + "\r\n\r\n", LongLine, "A"},
		{"A: b\r\n", NoSeparator, "A"},
		{"A: b", NoSeparator | BareLF, "A"},
		{"", NoSeparator, ""},
	} {
		b, _ := read(t, c.in)
		var names []string
		for _, f := range b.Fields {
			names = append(names, f.Name)
		}
		want := c.want
		if c.in == "A: b" {
			want = NoSeparator // a line without an end is not a bare line feed
		}
		if b.Flags != want || strings.Join(names, ",") != c.names {
			t.Errorf("%.40q: got %q %q, want %q %q", c.in, b.Flags, names, want, c.names)
		}
	}
}

func TestBlockIsBounded(t *testing.T) {
	big := "A: " + strings.Repeat("x", 300<<10) + "\r\n\r\n"
	if b, err := ReadBlock(bufio.NewReader(strings.NewReader(big)), Limits{}); !errors.Is(err, ErrTooLarge) || b.Size > DefaultBytes {
		t.Errorf("one long field: got %v, size %d", err, b.Size)
	}
	var many strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&many, "A:%d\r\n", i)
	}
	b, err := ReadBlock(bufio.NewReader(strings.NewReader(many.String())), Limits{})
	if !errors.Is(err, ErrTooManyFields) || len(b.Fields) != DefaultFields {
		t.Errorf("many fields: got %v, %d fields", err, len(b.Fields))
	}
	exact := strings.Repeat("A:b\r\n", 3) + "\r\n"
	if _, err := ReadBlock(bufio.NewReader(strings.NewReader(exact)), Limits{Bytes: len(exact), Fields: 3}); err != nil {
		t.Errorf("exactly the limits: got %v", err)
	}
	if _, err := ReadBlock(bufio.NewReader(strings.NewReader(exact)), Limits{Bytes: len(exact) - 1, Fields: 3}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte over: got %v", err)
	}
}

func TestReadErrorIsHandedOn(t *testing.T) {
	broken := errors.New("broken")
	r := bufio.NewReader(io.MultiReader(strings.NewReader("A: b\r\nC"), errReader{broken}))
	if b, err := ReadBlock(r, Limits{}); !errors.Is(err, broken) || len(b.Fields) != 1 {
		t.Errorf("got %v, %+v", err, b)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func FuzzReadBlock(f *testing.F) {
	f.Add([]byte("From a\r\nA : b\r\n c\r\n \r\nno\x00\r\r\n:x\n\nbody"))
	f.Add([]byte(" x\r\nSubject: y\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), 16)
		b, err := ReadBlock(r, Limits{Bytes: 4096, Fields: 50})
		if b.Size > 4096 || len(b.Fields) > 50 {
			t.Fatalf("over the limits: %d bytes, %d fields", b.Size, len(b.Fields))
		}
		var all []byte
		for _, f := range b.Fields {
			if f.Offset != int64(len(all)) {
				t.Fatalf("offset %d, want %d", f.Offset, len(all))
			}
			if !strings.HasSuffix(strings.TrimRight(string(f.Raw), "\r\n"), strings.TrimRight(f.Value(), "\r\n")) {
				t.Fatalf("value %q is not the end of %q", f.Value(), f.Raw)
			}
			all = append(all, f.Raw...)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if !bytes.HasPrefix(in, all) || !bytes.HasSuffix(in, rest) || len(rest)+int(b.Size) != len(in) || int(b.Size)-len(all) > 2 {
			t.Fatalf("bytes got lost: fields %q, rest %q of %q", all, rest, in)
		}
	})
}

func BenchmarkReadBlock(b *testing.B) {
	var s strings.Builder
	for i := range 30 {
		fmt.Fprintf(&s, "X-Field-%d: some value that goes on for a while\r\n\tand is folded once\r\n", i)
	}
	s.WriteString("\r\n")
	in := s.String()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	r := bufio.NewReader(nil)
	for b.Loop() {
		r.Reset(strings.NewReader(in))
		if _, err := ReadBlock(r, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
