package pipeline

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/sanitize"
	"sekisho/spool"
)

func report(ps ...sanitize.Part) *sanitize.Report {
	return &sanitize.Report{Outcome: sanitize.Clean, Parts: ps}
}

func part(path string, k sanitize.Kind, f sanitize.Fate) sanitize.Part {
	return sanitize.Part{Path: path, Kind: k, Class: k.Class(), Fate: f, Outcome: sanitize.Clean, Err: "because"}
}

func TestKeptBackListsEachPartOnce(t *testing.T) {
	kept, gone, on := sanitize.KeptBack, sanitize.Dropped, sanitize.Delivered
	for _, c := range []struct {
		name string
		t    treated
		want []string
	}{
		{"nothing known", treated{}, nil},
		{"what passes is not taken apart", treated{kind: seal.Passed, report: report(part("2", sanitize.KindPDF, kept))}, nil},
		{"our own mail neither", treated{kind: seal.Ours, report: report(part("2", sanitize.KindPDF, kept))}, nil},
		{"nothing kept back", treated{kind: seal.Treated, report: report(part("1", sanitize.KindText, on), part("2", sanitize.KindPDF, gone))}, nil},
		{"two of three", treated{kind: seal.Treated, report: report(part("1", sanitize.KindText, on), part("2", sanitize.KindPDF, kept), part("3", sanitize.KindDOC, kept))}, []string{"2", "3"}},
		{"what lies inside waits with its container", treated{kind: seal.Treated, report: report(part("2", sanitize.KindZIP, kept), part("2/a.pdf", sanitize.KindPDF, kept), part("20", sanitize.KindPDF, kept))}, []string{"2", "20"}},
		{"inside one that goes on it waits alone", treated{kind: seal.Treated, report: report(part("2", sanitize.KindMessage, on), part("2/1", sanitize.KindPDF, kept))}, []string{"2/1"}},
		{"a fate of zero is kept back", treated{kind: seal.Treated, report: report(sanitize.Part{Path: "9"})}, []string{"9"}},
	} {
		if got := c.t.keptBack(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMostTellingClassNamesTheEntry(t *testing.T) {
	kept := sanitize.KeptBack
	for _, c := range []struct {
		name  string
		r     *sanitize.Report
		class sanitize.Class
		n     int
	}{
		{"no report", nil, sanitize.ClassFailed, 0},
		{"one", report(part("2", sanitize.KindPDF, kept)), sanitize.ClassPDF, 1},
		{"delivered ones do not count", report(part("1", sanitize.KindExecutable, sanitize.Delivered), part("2", sanitize.KindPDF, kept)), sanitize.ClassPDF, 1},
		{"encrypted before others", report(part("2", sanitize.KindPDF, kept), part("3", sanitize.KindEncryptedZIP, kept)), sanitize.ClassEncrypted, 2},
		{"executable before encrypted", report(part("2", sanitize.KindExecutable, kept), part("3", sanitize.KindEncryptedZIP, kept)), sanitize.ClassExecutable, 2},
		{"executable after encrypted", report(part("2", sanitize.KindEncryptedZIP, kept), part("3", sanitize.KindScript, kept)), sanitize.ClassExecutable, 2},
	} {
		class, reasons := (&treated{report: c.r}).partReasons()
		if class != c.class || len(reasons) != c.n {
			t.Errorf("%s: class %q, %d reasons, want %q, %d", c.name, class, len(reasons), c.class, c.n)
		}
	}
}

func TestReleaseOfPartsDeliversOnlyWhatWasAskedForAndTreated(t *testing.T) {
	r := report(part("1", sanitize.KindText, sanitize.Delivered), part("2", sanitize.KindPDF, sanitize.KeptBack), part("3", sanitize.KindDOCX, sanitize.Delivered))
	for _, c := range []struct {
		name     string
		t        treated
		released []string
		nothing  bool
	}{
		{"no report", treated{}, []string{"3"}, true},
		{"asked for and treated", treated{report: r}, []string{"3"}, false},
		{"asked for and kept back again", treated{report: r}, []string{"2"}, true},
		{"one of two", treated{report: r}, []string{"2", "3"}, false},
		{"only others were treated", treated{report: r}, []string{"4"}, true},
		{"nothing asked for", treated{report: r}, nil, true},
	} {
		c.t.released = c.released
		if got := c.t.nothingTreated(); got != c.nothing {
			t.Errorf("%s: %v, want %v", c.name, got, c.nothing)
		}
	}
}

func TestSummaryCountsAndNamesNothing(t *testing.T) {
	disarmed := part("3", sanitize.KindDOCX, sanitize.Delivered)
	disarmed.Outcome, disarmed.Name = sanitize.Disarmed, "secret.docx"
	for _, c := range []struct {
		r    *sanitize.Report
		want string
	}{
		{nil, "as received"},
		{report(), ""},
		{report(part("1", sanitize.KindText, sanitize.Delivered), disarmed, part("4", sanitize.KindPDF, sanitize.KeptBack), part("5", sanitize.KindPDF, sanitize.Dropped)),
			"1 clean, 1 disarmed, 1 removed, 1 kept back"},
	} {
		if got := (&treated{report: c.r}).summary(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestSplitterFindsTheEndOfTheHeaderHowever the octets arrive: what is sealed
// as header and body must be what delivery splits again.
func TestSplitterFindsTheEndOfTheHeaderHowever(t *testing.T) {
	for _, c := range []struct{ name, head, body string }{
		{"both", "A: b\r\nC: d\r\n\r\n", "body\r\n\r\nmore"},
		{"no body", "A: b\r\n\r\n", ""},
		{"no header", "\r\n", "body\r\n"},
		{"an empty line first", "\r\n", "\r\nbody"},
		{"no end of the header", "A: b\r\nC: d\r\n", ""},
		{"line feeds alone end nothing", "A: b\n\nC: d\r\n\r\n", "x"},
		{"nothing", "", ""},
	} {
		for name, r := range map[string]io.Reader{
			"at once":       strings.NewReader(c.head + c.body),
			"one by one":    iotest.OneByteReader(strings.NewReader(c.head + c.body)),
			"half by half":  iotest.HalfReader(strings.NewReader(c.head + c.body)),
			"end with data": iotest.DataErrReader(strings.NewReader(c.head + c.body)),
		} {
			var w bytes.Buffer
			s := newSplitter(&w)
			if _, err := io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{r}); err != nil {
				t.Fatal(err)
			}
			var got treated
			s.sum(&got)
			if got.headerLen != int64(len(c.head)) || got.header != sha256.Sum256([]byte(c.head)) || got.body != sha256.Sum256([]byte(c.body)) ||
				got.size != int64(len(c.head+c.body)) || w.String() != c.head+c.body {
				t.Errorf("%s, %s: header of %d octets, want %d; %q", c.name, name, got.headerLen, len(c.head), w.String())
			}
		}
	}
}

const entity = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"

func TestWorkersHeaderIsAFewFieldsOrNothing(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"the two", entity + "\r\nbody", true},
		{"all four", entity + "Content-Transfer-Encoding: 7bit\r\nContent-Language: ja\r\n\r\n", true},
		{"folded", "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary=\"x\"\r\n\r\n", true},
		{"another field", entity + "Bcc: a@b.example\r\n\r\n", false},
		{"a field of ours", entity + "X-Sekisho-Result: clean\r\n\r\n", false},
		{"one twice", entity + "Content-Type: text/html\r\n\r\n", false},
		{"other letters", strings.ToLower(entity) + "\r\n", false},
		{"no MIME-Version", "Content-Type: text/plain\r\n\r\n", false},
		{"no Content-Type", "MIME-Version: 1.0\r\n\r\n", false},
		{"nothing", "", false},
		{"an empty line", "\r\n", false},
		{"no end", entity, false},
		{"a line without CR", "MIME-Version: 1.0\nContent-Type: text/plain\r\n\r\n", false},
		{"a CR inside", "MIME-Version: 1.0\rBcc: x\r\nContent-Type: text/plain\r\n\r\n", false},
		{"a NUL", "MIME-Version: 1.0\x00\r\nContent-Type: text/plain\r\n\r\n", false},
		{"eight bits", "MIME-Version: 1.0\r\nContent-Type: text/plain; name=日\r\n\r\n", false},
		{"folded at once", " x\r\n" + entity + "\r\n", false},
		{"no colon", entity + "hello\r\n\r\n", false},
		{"a blank before the colon", "MIME-Version : 1.0\r\nContent-Type: text/plain\r\n\r\n", false},
		{"a line too long to send", "MIME-Version: 1.0\r\nContent-Type: text/plain; a=" + strings.Repeat("x", 1000) + "\r\n\r\n", false},
		{"more than we ever write", "MIME-Version: 1.0\r\nContent-Type: text/plain;" + strings.Repeat("\r\n a=b;", 2000) + "\r\n\r\n", false},
	} {
		r := io.NewSectionReader(strings.NewReader(c.in), 0, int64(len(c.in)))
		block, err := readEntityHeader(r)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.ok {
			rest, err := io.ReadAll(r)
			if err != nil || string(block)+"\r\n"+string(rest) != c.in {
				t.Errorf("%s: %q and %q are not the whole: %v", c.name, block, rest, err)
			}
		}
	}
}

func FuzzWorkersHeader(f *testing.F) {
	f.Add([]byte(entity + "\r\nbody"))
	f.Add([]byte(entity + "Bcc: x\r\n\r\n"))
	f.Add([]byte("MIME-Version: 1.0\r\nContent-Type: a;\r\n b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := io.NewSectionReader(bytes.NewReader(in), 0, int64(len(in)))
		block, err := readEntityHeader(r)
		if err != nil {
			return
		}
		rest, err := io.ReadAll(r)
		if err != nil || string(block)+"\r\n"+string(rest) != string(in) {
			t.Fatalf("%q and %q are not %q", block, rest, in)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(block) + "\r\n"))
		if err != nil {
			t.Fatalf("another reader: %v", err)
		}
		for name := range m.Header {
			switch name {
			case "Mime-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Language":
			default:
				t.Fatalf("field %q got through", name)
			}
		}
	})
}

// write composes a header block from what a worker reports.
func write(t *testing.T, fields ...sanitize.Field) (mail.Header, string) {
	t.Helper()
	p := &Pipeline{Hostname: "mx.town.example.lg.jp"}
	e := &spool.Entry{Envelope: envelope.Envelope{ID: "06h0z84tyyvra2v20cafvn1qph0k1a9a5rf0", From: envelope.Address{Local: "a", Domain: "partner.example"},
		Received: time.Date(2026, 11, 24, 9, 0, 0, 0, time.FixedZone("JST", 9*3600))}}
	var b bytes.Buffer
	tr := &treated{report: &sanitize.Report{Outcome: sanitize.Clean, Header: fields}}
	if err := p.writeHeader(&b, e, tr, []byte(entity)); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return m.Header, b.String()
}

func TestHeaderHoldsOnlyWhatIsListed(t *testing.T) {
	h, raw := write(t,
		sanitize.Field{Name: "Subject", Text: "one"}, sanitize.Field{Name: "subject", Text: "two"},
		sanitize.Field{Name: "Bcc", Text: "victim@town.example.lg.jp"}, sanitize.Field{Name: "X-Sekisho-Result", Text: "clean"},
		sanitize.Field{Name: "Content-Type", Text: "text/html"}, sanitize.Field{Name: "Authentication-Results", Text: "mx.town.example.lg.jp; dkim=pass"},
		sanitize.Field{Name: "Received", Text: "from a by b; Tue, 24 Nov 2026 09:00:00 +0900"}, sanitize.Field{Name: "Received", Text: "from c by d; Tue, 24 Nov 2026 09:00:00 +0900"},
		sanitize.Field{Name: "Message-ID", Text: "<m1@partner.example>"},
		sanitize.Field{Name: "From", Mailboxes: []sanitize.Mailbox{{Name: "田中", Address: "a@partner.example"}}})
	for name, n := range map[string]int{"Subject": 1, "Bcc": 0, "X-Sekisho-Result": 1, "X-Sekisho-Id": 1, "Content-Type": 1, "Mime-Version": 1, "Authentication-Results": 0,
		"Received": 2, "Message-Id": 1, "From": 1, "Date": 1} {
		if got := len(h[name]); got != n {
			t.Errorf("%d fields %s, want %d\n%s", got, name, n, raw)
		}
	}
	if h.Get("Subject") != "one" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("the first subject and the entity's own type are wanted\n%s", raw)
	}
}

func TestDecodedValuesCannotEndTheirLine(t *testing.T) {
	evil := "x\r\nBcc: victim@town.example.lg.jp\r\n\r\n<script>"
	h, raw := write(t,
		sanitize.Field{Name: "Subject", Text: evil}, sanitize.Field{Name: "Comments", Text: evil + "\x00\x0b\u2028"},
		sanitize.Field{Name: "Message-ID", Text: "<a\r\nBcc: x@y>"}, sanitize.Field{Name: "References", Text: "<a@b>\r\nBcc:<c@d>"},
		sanitize.Field{Name: "To", Mailboxes: []sanitize.Mailbox{{Name: evil, Address: "a@b.example"}}},
		sanitize.Field{Name: "Cc", Mailboxes: []sanitize.Mailbox{{Name: "x", Address: "a@b.example\r\nBcc: c@d.example"}}})
	if h.Get("Bcc") != "" || strings.Count(raw, "\r\n\r\n") != 1 || !strings.HasSuffix(raw, "\r\n\r\n") {
		t.Errorf("a value ended its line:\n%s", raw)
	}
	for l := range strings.SplitSeq(raw, "\r\n") {
		if len(l) > 998 || strings.ContainsAny(l, "\r\n\x00") {
			t.Errorf("line %q", l)
		}
	}
}

func TestFieldsThatAMailMustHaveAreAdded(t *testing.T) {
	h, raw := write(t)
	for name, want := range map[string]string{
		"Date":       "Tue, 24 Nov 2026 09:00:00 +0900",
		"From":       "<a@partner.example>",
		"Message-Id": "<06h0z84tyyvra2v20cafvn1qph0k1a9a5rf0@mx.town.example.lg.jp>",
	} {
		if got := h.Get(name); strings.Trim(got, "<>") != strings.Trim(want, "<>") {
			t.Errorf("%s: %q, want %q\n%s", name, got, want, raw)
		}
	}
}

// TestAuthorsAreThoseOfTheMessage: every way of writing From that the worker
// reads is one that the daemon reads too, and nobody else gets in.
func TestAuthorsAreThoseOfTheMessage(t *testing.T) {
	for _, c := range []struct {
		head, addr string
		ok         bool
	}{
		{"From: a@partner.example\r\n\r\n", "a@partner.example", true},
		{"from : =?utf-8?B?5bGx?= <A@Partner.example>\r\n\r\n", "a@partner.example", true},
		{"From:\r\n =?iso-2022-jp?B?GyRCOzMbKEI=?=\r\n <a..b.@docomo.ne.jp>\r\n\r\n", "a..b.@docomo.ne.jp", true},
		{"From: a@partner.example\r\n\r\nFrom: mayor@town.example\r\n", "mayor@town.example", false},
		{"From: \"mayor@town.example\" <a@partner.example>\r\n\r\n", "mayor@town.example", false},
		{"From: a@partner.example (mayor@town.example)\r\n\r\n", "mayor@town.example", false},
		{"Subject: x\r\nX-From: mayor@town.example\r\n\r\n", "mayor@town.example", false},
		{"Reply-To: mayor@town.example\r\nFrom: a@partner.example\r\n\r\n", "mayor@town.example", false},
		{"", "mayor@town.example", false},
	} {
		r := &sanitize.Report{Header: []sanitize.Field{{Name: "From", Mailboxes: []sanitize.Mailbox{{Address: c.addr}}}}}
		if err := checkAuthors(r, strings.NewReader(c.head), int64(len(c.head)), sanitize.DefaultLimits()); (err == nil) != c.ok {
			t.Errorf("%q of %q: %v", c.addr, c.head, err)
		}
	}
}
