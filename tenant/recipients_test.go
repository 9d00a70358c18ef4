package tenant

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/text/encoding/japanese"

	"sekisho/envelope"
)

var town = []string{"town.example.lg.jp", "town.example.niigata.jp"}

func addr(t *testing.T, s string) envelope.Address {
	t.Helper()
	a, err := envelope.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func cp932(t *testing.T, s string) string {
	t.Helper()
	out, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestListsAreReadAsSpreadsheetsWriteThem(t *testing.T) {
	const want = "address,from,until\nsoumu@town.example.lg.jp,,\ntanaka@town.example.lg.jp,2027-04-01,\nyamada@town.example.lg.jp,,2027-03-31\n"
	const csv = "氏名,メールアドレス,開始日,終了日\n総務課,soumu@town.example.lg.jp,,\n田中　一郎,tanaka@town.example.lg.jp,2027/4/1,\n山田花子,yamada@town.example.lg.jp,,2027年3月31日\n"
	for name, text := range map[string]string{
		"UTF-8":                  csv,
		"UTF-8 with a mark":      "\ufeff" + csv,
		"CRLF":                   strings.ReplaceAll(csv, "\n", "\r\n"),
		"CR alone":               strings.ReplaceAll(csv, "\n", "\r"),
		"CP932":                  cp932(t, strings.ReplaceAll(csv, "\n", "\r\n")),
		"UTF-16 with tabs":       utf16le(strings.ReplaceAll(csv, ",", "\t")),
		"English heading":        strings.Replace(csv, "氏名,メールアドレス,開始日,終了日", "name,Address,From,UNTIL", 1),
		"quotes and spaces":      strings.ReplaceAll(csv, "tanaka@town.example.lg.jp", `" tanaka@town.example.lg.jp　"`),
		"Reiwa":                  strings.NewReplacer("2027/4/1", "令和9年4月1日", "2027年3月31日", "R9.3.31").Replace(csv),
		"full-width digits":      strings.Replace(csv, "2027/4/1", "２０２７／４／１", 1),
		"empty lines at the end": csv + ",,,\n\n , ,\n",
		"somebody twice":         csv + "総務課,SOUMU@town.example.lg.jp,,\n",
		"short lines":            strings.Replace(csv, "soumu@town.example.lg.jp,,", "soumu@town.example.lg.jp", 1),
	} {
		l, err := ReadList(strings.NewReader(text), town)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := l.Text(); got != want {
			t.Errorf("%s: got\n%s", name, got)
		}
		again, err := ReadList(strings.NewReader(l.Text()), town)
		if err != nil || again.Text() != want {
			t.Errorf("%s: what was written is read as %v, %v", name, again, err)
		}
	}
}

func TestEveryFaultOfAListHasItsLine(t *testing.T) {
	for text, want := range map[string]Faults{
		"":                           {{Code: FaultEmpty}},
		"address\n":                  {{Code: FaultEmpty}},
		"soumu@town.example.lg.jp\n": {{Line: 1, Code: FaultHeading, Value: "soumu@town.example.lg.jp"}},
		"address,mail\na,b\n":        {{Line: 1, Code: FaultTwice, Value: "mail"}},
		"address\n\"a\n":             {{Line: 2, Code: FaultCSV}},
		"\ufeffaddress\na\xff@town.example.lg.jp\n": {{Line: 2, Code: FaultLetters}},
		"address\nsoumu@town.example.lg.jp\n\nsoumu\nx@other.example\n*@town.example.lg.jp\nａ@town.example.lg.jp\na b@town.example.lg.jp\na@b@town.example.lg.jp\na\u200bb@town.example.lg.jp\n": {
			{4, FaultAddress, "soumu"}, {5, FaultDomain, "x@other.example"}, {6, FaultWildcard, "*@town.example.lg.jp"}, {7, FaultWide, "ａ@town.example.lg.jp"},
			{8, FaultAddress, "a b@town.example.lg.jp"}, {9, FaultAddress, "a@b@town.example.lg.jp"}, {10, FaultAddress, "a\u200bb@town.example.lg.jp"}},
		"address,from,until\na@town.example.lg.jp,4/1/2027,\nb@town.example.lg.jp,2027-04-31,\nc@town.example.lg.jp,2027-04-01,2027-03-31\nd@town.example.lg.jp,来年,\n": {
			{2, FaultDate, "4/1/2027"}, {3, FaultDate, "2027-04-31"}, {4, FaultOrder, "2027-04-01 - 2027-03-31"}, {5, FaultDate, "来年"}},
	} {
		l, err := ReadList(strings.NewReader(text), town)
		var fs Faults
		if !errors.As(err, &fs) || l != nil {
			t.Errorf("%q: list %v, error %v", text, l, err)
			continue
		}
		if !slices.Equal(fs, want) {
			t.Errorf("%q:\ngot    %v\nwanted %v", text, fs, want)
		}
		for _, f := range fs {
			if hints[f.Code] == "" {
				t.Errorf("code %s does not say what to do", f.Code)
			}
		}
	}
	many := "address\n" + strings.Repeat("x\n", 100)
	_, err := ReadList(strings.NewReader(many), town)
	var fs Faults
	if !errors.As(err, &fs) || len(fs) != maxFaults+1 || fs[maxFaults].Code != FaultTooMany {
		t.Errorf("100 wrong lines gave %d faults", len(fs))
	}
}

func TestTransfersHappenAtMidnightInJapan(t *testing.T) {
	l, err := ReadList(strings.NewReader("address,from,until\nyamada@town.example.lg.jp,,2027-03-31\ntanaka@town.example.lg.jp,2027-04-01,\n"), town)
	if err != nil {
		t.Fatal(err)
	}
	r := FixedRecipients(l)
	midnight := time.Date(2027, 3, 31, 15, 0, 0, 0, time.UTC) // 1 April in Japan
	for _, c := range []struct {
		at             time.Time
		yamada, tanaka bool
	}{
		{midnight.Add(-time.Nanosecond), true, false},
		{midnight, false, true},
		{midnight.AddDate(1, 0, 0), false, true},
		{midnight.AddDate(-1, 0, 0), true, false},
	} {
		if got := r.Has(addr(t, "Yamada@town.example.lg.jp"), c.at); got != c.yamada {
			t.Errorf("at %s yamada: %v", c.at, got)
		}
		if got := r.Has(addr(t, "tanaka@TOWN.example.lg.jp"), c.at); got != c.tanaka {
			t.Errorf("at %s tanaka: %v", c.at, got)
		}
	}
}

func TestTheLatestVersionThatHasTakenEffectCounts(t *testing.T) {
	list := func(names ...string) *List {
		var ls []Line
		for _, n := range names {
			ls = append(ls, Line{Address: envelope.Address{Local: n, Domain: town[0]}})
		}
		return NewList(ls)
	}
	day := func(n int) time.Time { return time.Date(2027, 3, n, 0, 0, 0, 0, Japan) }
	r := NewRecipients([]Version{
		{Number: 1, Effective: day(1), List: list("a")},
		{Number: 2, Effective: day(20), List: list("b")}, // imported early, for the 20th
		{Number: 3, Effective: day(5), List: list("c")},
		{Number: 4, Effective: day(10), List: list("d"), Withdrawn: true},
		{Number: 5, Effective: day(25), List: nil},
		{Number: 6, Effective: day(5), List: list("e")},
	})
	for d, want := range map[int]int64{1: 1, 4: 1, 5: 6, 10: 6, 19: 6, 20: 2, 25: 5} {
		if got := r.At(day(d)).Number; got != want {
			t.Errorf("on day %d version %d counts, want %d", d, got, want)
		}
	}
	anybody := envelope.Address{Local: "zzz", Domain: town[0]}
	if !r.Has(anybody, day(1).Add(-time.Second)) || r.Has(anybody, day(1)) || !r.Has(anybody, day(26)) {
		t.Error("before the first version, and in one without a list, anybody is reached; else only who is in it")
	}
	if n := r.After(day(5)); len(n) != 2 || n[0].Number != 2 || n[1].Number != 5 {
		t.Errorf("still to come: %v", n)
	}
	if (*Recipients)(nil).At(day(1)).List != nil || !(*Recipients)(nil).Has(anybody, day(1)) {
		t.Error("no recipients at all must mean anybody")
	}
}

func TestCompareCountsWhoIsLost(t *testing.T) {
	old, err := ReadList(strings.NewReader("address,until\na@town.example.lg.jp,\nb@town.example.lg.jp,\nc@town.example.lg.jp,2027-03-31\nd@town.example.lg.jp,\n"), town)
	if err != nil {
		t.Fatal(err)
	}
	next, err := ReadList(strings.NewReader("address,until\na@town.example.lg.jp,\nb@town.example.lg.jp,2027-01-01\ne@town.example.lg.jp,\n"), town)
	if err != nil {
		t.Fatal(err)
	}
	d := Compare(old, next, Day{2027, 4, 1})
	locals := func(as []envelope.Address) (s string) {
		for _, a := range as {
			s += a.Local
		}
		return s
	}
	// c is gone by then in any case; b by its new date, d with its line.
	if locals(d.Added) != "e" || locals(d.Removed) != "cd" || locals(d.Changed) != "b" || d.Same != 1 || d.Reached != 3 || d.Lost != 2 {
		t.Errorf("%+v", d)
	}
	if d := Compare(nil, next, Day{2027, 4, 1}); len(d.Added) != 3 || d.Lost != 0 || d.Reached != 0 {
		t.Errorf("the first list: %+v", d)
	}
}

func TestAFileNamedInTheConfigurationCountsAlone(t *testing.T) {
	file := FixedRecipients(NewList([]Line{{Address: envelope.Address{Local: "file", Domain: "a.example"}}}))
	d, err := New([]Tenant{{ID: "a", Domains: []string{"a.example"}, Recipients: file, RecipientsFile: "a.csv"}, {ID: "b", Domains: []string{"b.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	imported := NewRecipients([]Version{{Number: 1, List: NewList(nil)}})
	next := d.With(map[envelope.TenantID]*Recipients{"a": imported, "b": imported})
	a, _ := next.Get("a")
	b, _ := next.Owner("b.example")
	if a.Recipients != file || b.Recipients != imported {
		t.Error("an imported list took the place of the file, or not that of nothing")
	}
	if was, _ := d.Get("b"); was.Recipients != nil {
		t.Error("the directory before was changed")
	}
	if !b.Has(envelope.Address{Local: "PostMaster", Domain: "b.example"}, time.Now()) || b.Has(envelope.Address{Local: "x", Domain: "b.example"}, time.Now()) {
		t.Error("postmaster exists always, others by the list")
	}
}

// FuzzReadList: whatever a file holds, every line of the list is an address of
// the tenant's, and what is written is read as the same list.
func FuzzReadList(f *testing.F) {
	f.Add([]byte("address,from,until\nsoumu@town.example.lg.jp,2027-04-01,\n"))
	f.Add([]byte("\ufeffメールアドレス\tx\r\na@town.example.lg.jp\t\"\r\n"))
	f.Add([]byte(utf16le("address\na@town.example.lg.jp\n")))
	f.Add([]byte("\x83\x81\x81[\x83\x8b\na@town.example.lg.jp\n"))
	f.Add([]byte("address\n\"a..b\"@town.example.lg.jp\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ReadList(strings.NewReader(string(raw)), town)
		if err != nil {
			if l != nil || err.Error() == "" {
				t.Fatalf("error %q beside a list", err)
			}
			return
		}
		for _, n := range l.Lines() {
			if !slices.Contains(town, n.Address.Domain) || strings.ContainsAny(n.Address.String(), "\r\n\x00 ") {
				t.Fatalf("%q", n.Address)
			}
		}
		again, err := ReadList(strings.NewReader(l.Text()), town)
		if err != nil || again.Text() != l.Text() {
			t.Fatalf("%q is read again as %v, %v", l.Text(), again, err)
		}
	})
}

// What is stored has all columns in every line, so that it is larger than what
// was imported. A list as large as an import may be must come back from the
// store: the gateway would not start.
func TestAStoredListMayBeLargerThanAnImport(t *testing.T) {
	text := "address,from,until,note\na@" + town[0] + ",,," + strings.Repeat("x", maxListBytes) + "\n"
	var faults Faults
	if _, err := ReadList(strings.NewReader(text), town); !errors.As(err, &faults) || faults[0].Code != FaultSize {
		t.Errorf("as an import: %v", err)
	}
	if l, err := StoredList(strings.NewReader(text)); err != nil || l.Len() != 1 {
		t.Errorf("from the store: %v", err)
	}
}
