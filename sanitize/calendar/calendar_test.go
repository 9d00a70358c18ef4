package calendar_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"sekisho/sanitize"
	"sekisho/sanitize/calendar"
	"sekisho/sanitize/html"
	"sekisho/sanitize/verify"
)

func treat(kind sanitize.Kind, label string, raw []byte, o *sanitize.Options) (string, *sanitize.Report, sanitize.Result, error) {
	var tr sanitize.Sanitizer = calendar.ICS{}
	if kind == sanitize.KindVCF {
		tr = calendar.VCF{}
	}
	s := sanitize.NewSession(o, int64(len(raw)), nil, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindHTML: html.Sanitizer{}})
	var b bytes.Buffer
	res, err := tr.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(raw), Size: int64(len(raw)), Path: "1", Charset: label, Kind: kind}, &b)
	return b.String(), s.Report(""), res, err
}

func options() *sanitize.Options { return &sanitize.Options{Limits: sanitize.DefaultLimits()} }

// check treats raw and asks what every output must be: allowed by the second
// look, and the same when treated again.
func check(t *testing.T, kind sanitize.Kind, label string, raw []byte) (string, sanitize.Result) {
	t.Helper()
	out, _, res, err := treat(kind, label, raw, options())
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := sanitize.NewSession(options(), int64(len(out)), nil, nil)
	if err := verify.File(context.Background(), s, kind, strings.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("the second look refuses it: %v\n%s", err, out)
	}
	again, _, _, err := treat(kind, "utf-8", []byte(out), options())
	if err != nil || again != out {
		t.Errorf("treated again it changes: %v\n%s\n--- became\n%s", err, out, again)
	}
	return out, res
}

func vevent(lines ...string) []byte {
	return []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@a.example\r\nDTSTART;TZID=Tokyo Standard Time:20260401T100000\r\n" +
		strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
}

func TestInvitationKeepsWhatAPersonNeeds(t *testing.T) {
	keep := []string{
		`SUMMARY:定例会議（第３回）①㈱髙﨑`, `LOCATION:第２会議室\, 本庁舎`, `DESCRIPTION:議題\n1. 予算\; 2. 人事\\n`,
		`ORGANIZER;CN=総務課:mailto:soumu@city-a.example`, `RRULE:FREQ=WEEKLY;COUNT=10;BYDAY=WE`,
		`EXDATE;TZID=Tokyo Standard Time:20260408T100000,20260415T100000`, `DTEND;TZID=Tokyo Standard Time:20260401T110000`, `SEQUENCE:2`,
		`URL:https://meet.example/a?b=1`, `DURATION:PT1H30M`,
	}
	out, res := check(t, sanitize.KindICS, "", vevent(append(keep, `ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN="山田, 太郎":mailto:taro@city-a.example`)...))
	flat := strings.ReplaceAll(out, "\r\n ", "")
	for _, want := range append(keep, "METHOD:REQUEST", `CN="山田, 太郎":mailto:taro@city-a.example`, "UID:1@a.example", "RSVP=TRUE") {
		if !strings.Contains(flat, want) {
			t.Errorf("%s is lost:\n%s", want, flat)
		}
	}
	if res.Outcome != sanitize.Clean {
		t.Errorf("outcome %v, want clean", res.Outcome)
	}
}

func TestWhatActsIsGone(t *testing.T) {
	for _, c := range []struct{ line, rule, marker string }{
		{"ATTACH:file://h/MARK.exe", "calendar.attach", "MARK"},
		{"ATTACH;ENCODING=BASE64;VALUE=BINARY:TUFSSw==", "calendar.attach", "TUFSSw"},
		{"URL:javascript:MARK()", "calendar.link", "MARK"},
		{"URL:file://h/MARK", "calendar.link", "MARK"},
		{"URL:ms-word:ofe|u|MARK", "calendar.link", "MARK"},
		{"BEGIN:VALARM\r\nACTION:PROCEDURE\r\nATTACH:MARK\r\nEND:VALARM", "calendar.alarm", "MARK"},
		{"BEGIN:VALARM\r\nACTION:EMAIL\r\nATTENDEE:mailto:MARK@a.example\r\nEND:VALARM", "calendar.alarm", "MARK"},
		{"X-ALT-DESC;FMTTYPE=text/html:<script>MARK</script>", "calendar.html", "MARK"},
		{"DESCRIPTION:<p>hello</p><script>MARK</script>", "calendar.html", "MARK"},
		{`DESCRIPTION;ALTREP="http://MARK.example":x`, "", "MARK"},
		{"X-MS-OLK-FORM:MARK", "calendar.property", "MARK"},
		{"RRULE:FREQ=SECONDLY;MARK=1", "calendar.recurrence", "MARK"},
		{"RRULE:FREQ=SECONDLY", "calendar.recurrence", "SECONDLY"},
		{"ORGANIZER:http://MARK.example", "calendar.address", "MARK"},
		{"ATTENDEE;DIR=\"ldap://MARK\":mailto:a@b.example", "", "MARK"},
		{"CONFERENCE;VALUE=URI:tel:MARK", "calendar.attach", "MARK"},
		{"BEGIN:X-MARK\r\nX:1\r\nEND:X-MARK", "calendar.component", "MARK"},
		{"GEO:MARK", "calendar.value", "MARK"},
		{"words without a colon MARK", "calendar.line", "MARK"},
	} {
		raw := vevent(c.line)
		out, rep, _, err := treat(sanitize.KindICS, "", raw, options())
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if strings.Contains(out, c.marker) {
			t.Errorf("%q stays:\n%s", c.line, out)
		}
		check(t, sanitize.KindICS, "", raw)
		_ = rep
	}
}

func TestTextOfHTMLDescriptionStays(t *testing.T) {
	out, _ := check(t, sanitize.KindICS, "", vevent("X-ALT-DESC;FMTTYPE=text/html:<html><body><p>こんにちは</p><a href=\"https://a.example/x\">会議室</a></body></html>"))
	if flat := strings.ReplaceAll(out, "\r\n ", ""); !strings.Contains(flat, "こんにちは") || !strings.Contains(flat, "https://a.example/x") {
		t.Errorf("text lost:\n%s", out)
	}
}

func TestCalendarInJapaneseCharsets(t *testing.T) {
	const want = "定例会議の案内と資料"
	sjis, err := japanese.ShiftJIS.NewEncoder().String(string(vevent("SUMMARY:" + want)))
	if err != nil {
		t.Fatal(err)
	}
	jis, err := japanese.ISO2022JP.NewEncoder().String(string(vevent("SUMMARY:" + want)))
	if err != nil {
		t.Fatal(err)
	}
	euc, err := japanese.EUCJP.NewEncoder().String(string(vevent("SUMMARY:" + want)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ label, text string }{
		{"shift_jis", sjis}, {"iso-2022-jp", jis}, {"euc-jp", euc}, {"", sjis}, {"", jis}, {"utf-8", sjis}, {"utf-8", string(vevent("SUMMARY:" + want))},
		// A fold inside a character. RFC 5545, 3.1.
		{"utf-8", strings.Replace(string(vevent("SUMMARY:"+want)), "\xe4\xbe\x8b", "\xe4\r\n \xbe\x8b", 1)},
	} {
		out, _ := check(t, sanitize.KindICS, c.label, []byte(c.text))
		if !strings.Contains(strings.ReplaceAll(out, "\r\n ", ""), "SUMMARY:"+want) {
			t.Errorf("%s: %s", c.label, out)
		}
	}
}

func TestAmbiguousCalendarsAreRefused(t *testing.T) {
	for _, c := range []struct {
		raw string
		err error
	}{
		{string(vevent("DTSTART:20270101T000000Z")), sanitize.ErrAmbiguous},
		{string(vevent("SUMMARY:a", "SUMMARY:b")), sanitize.ErrAmbiguous},
		{string(vevent()) + string(vevent()), sanitize.ErrAmbiguous},
		{"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n", sanitize.ErrMalformed},
		{"BEGIN:VCALENDAR\r\n", sanitize.ErrMalformed},
		{"hello", sanitize.ErrMalformed},
		{"BEGIN:VEVENT\r\nEND:VEVENT\r\n", sanitize.ErrMalformed},
		{strings.Repeat("BEGIN:VCALENDAR\r\n", 10) + strings.Repeat("END:VCALENDAR\r\n", 10), sanitize.ErrLimit},
		{strings.Repeat("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", 5001), sanitize.ErrLimit},
	} {
		if out, _, _, err := treat(sanitize.KindICS, "", []byte(c.raw), options()); !errors.Is(err, c.err) {
			t.Errorf("%.60q: %v, want %v\n%.300s", c.raw, err, c.err, out)
		}
	}
}

func TestCardKeepsPersonAndLosesMedia(t *testing.T) {
	out, res := check(t, sanitize.KindVCF, "", []byte("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:山田 太郎\r\nN:山田;太郎;;;\r\nORG:A市;総務課\r\nTEL;TYPE=\"work,voice\";VALUE=uri:tel:+81-3-1234-5678\r\n"+
		"EMAIL:taro@city-a.example\r\nitem1.URL:https://a.example/\r\nURL:file://h/MARK\r\nPHOTO;ENCODING=b;TYPE=JPEG:TUFSSw==\r\nKEY:MARK\r\nNOTE:一行\\n二行\\, 続き\r\nX-MARK:MARK\r\nEND:VCARD\r\n"))
	flat := strings.ReplaceAll(out, "\r\n ", "")
	for _, want := range []string{"FN:山田 太郎", "N:山田;太郎;;;", "ORG:A市;総務課", "TEL;TYPE=WORK,VOICE:+81-3-1234-5678", "EMAIL:taro@city-a.example", "URL:https://a.example/", `NOTE:一行\n二行\, 続き`} {
		if !strings.Contains(flat, want+"\r\n") {
			t.Errorf("%s is lost:\n%s", want, flat)
		}
	}
	if strings.Contains(out, "MARK") || strings.Contains(out, "TUFSSw") || res.Outcome != sanitize.Disarmed {
		t.Errorf("outcome %v:\n%s", res.Outcome, out)
	}
}

func TestCardOfATelephone(t *testing.T) {
	// 山田;太郎 in quoted-printable Shift_JIS with a soft break, as vCard 2.1 has it.
	out, _ := check(t, sanitize.KindVCF, "", []byte("BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=8E=52=93=63;=\r\n=91=BE=98=59\r\n"+
		"SOUND;X-IRMC-N;CHARSET=SHIFT_JIS:\xd4\xcf\xc0\xde;\xc0\xdb\xb3;;;\r\nTEL;CELL:090-0000-0000\r\nADR;HOME;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:;;=95=5C=8E=51=93=B9\r\nEND:VCARD\r\n"))
	flat := strings.ReplaceAll(out, "\r\n ", "")
	for _, want := range []string{"N:山田;太郎", "FN:山田 太郎", "X-PHONETIC-LAST-NAME:ﾔﾏﾀﾞ", "TEL;TYPE=CELL:090-0000-0000", "ADR;TYPE=HOME:;;表参道"} {
		if !strings.Contains(flat, want+"\r\n") {
			t.Errorf("%s is lost:\n%s", want, flat)
		}
	}
}

func TestAddressesFollowTheProfile(t *testing.T) {
	o := options()
	o.URLs = sanitize.DefangURLs
	out, _, _, err := treat(sanitize.KindICS, "", vevent("DESCRIPTION:see https://a.example/x", "URL:https://a.example/"), o)
	if err != nil || !strings.Contains(out, "hxxps://a[.]example/x") || strings.Contains(out, "URL:") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRealCalendars treats the calendars and cards of the corpus beside the
// repository: nothing but what is malformed may be refused.
func TestRealCalendars(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "corpus", "ics", "*.ics"))
	cards, _ := filepath.Glob(filepath.Join(dir, "corpus", "vcf", "*.vcf"))
	if len(files) == 0 {
		t.Skip("no corpus beside the repository; set SEKISHO_SHARED to measure")
	}
	treated := 0
	for _, f := range append(files, cards...) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		kind := sanitize.KindICS
		if strings.HasSuffix(f, ".vcf") {
			kind = sanitize.KindVCF
		}
		if _, _, _, err := treat(kind, "", raw, options()); err != nil {
			t.Logf("%s: %v", filepath.Base(f), err)
			if !errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrAmbiguous) {
				t.Errorf("%s: %v", f, err)
			}
			continue
		}
		treated++
		check(t, kind, "", raw)
	}
	t.Logf("%d of %d treated", treated, len(files)+len(cards))
	if treated*100 < (len(files)+len(cards))*85 {
		t.Errorf("%d of %d treated", treated, len(files)+len(cards))
	}
}

// TestAParameterCutAtBlanksStays: what is cut at its bound ends in no blank,
// which the next reader would leave out.
func TestAParameterCutAtBlanksStays(t *testing.T) {
	check(t, sanitize.KindICS, "", vevent("DTEND;TZID=a"+strings.Repeat(" ", 2000)+"b:20260401T110000"))
	check(t, sanitize.KindVCF, "", []byte("BEGIN:VCARD\r\nVERSION:3.0\r\nN:a;b\r\nTEL;TYPE=a"+strings.Repeat(" ", 2000)+"b:1\r\nEND:VCARD\r\n"))
}

func fuzz(f *testing.F, kind sanitize.Kind) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, _, _, err := treat(kind, "", raw, options())
		if err != nil {
			return
		}
		if len(out) > 100*len(raw)+1000 {
			t.Fatalf("%d octets of %d", len(out), len(raw))
		}
		check(t, kind, "", raw)
	})
}

func FuzzICS(f *testing.F) {
	f.Add(vevent("SUMMARY:a\\nb", "ATTENDEE;CN=\"a,b\":mailto:a@b.example", "RRULE:FREQ=DAILY", "DESCRIPTION:<b>x</b>"))
	f.Add(vevent("RDATE;VALUE=PERIOD:20260101T000000Z/PT1H", "CATEGORIES:a,b\\,c", "BEGIN:VALARM", "ACTION:AUDIO", "END:VALARM"))
	f.Add([]byte("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x^ny\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0900\nTZOFFSETTO:+0900\nEND:STANDARD\nEND:VTIMEZONE\nEND:VCALENDAR"))
	fuzz(f, sanitize.KindICS)
}

func FuzzVCF(f *testing.F) {
	f.Add([]byte("BEGIN:VCARD\nVERSION:2.1\nN;ENCODING=QUOTED-PRINTABLE:=41=\n=42;x\\;y\nTEL;CELL:1\nEND:VCARD\n"))
	f.Add([]byte("BEGIN:VCARD\nVERSION:3.0\nN:a;b\nNOTE:a\\nb\\,c^n\nitem.URL;TYPE=HOME:https://a.example/\nEND:VCARD\n"))
	fuzz(f, sanitize.KindVCF)
}

// TestAFileInATextIsCutOut: what a program shows as text is decoded by whoever
// likes to, and nobody has looked at it.
func TestAFileInATextIsCutOut(t *testing.T) {
	program := base64.StdEncoding.EncodeToString([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + strings.Repeat("\x00", 103)))
	for kind, raw := range map[sanitize.Kind][]byte{
		sanitize.KindICS: vevent(`DESCRIPTION:前の文\n`+program[:76]+`\n`+program[76:]+`\n後の文`, "SUMMARY:x="+program, "ATTENDEE;CN="+program+":mailto:a@b.example"),
		sanitize.KindVCF: []byte("BEGIN:VCARD\r\nVERSION:3.0\r\nN:前の文;後の文\r\nNOTE:" + program + "\r\nEND:VCARD\r\n"),
	} {
		out, _, res, err := treat(kind, "", raw, options())
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(out), "\r\n ", "")
		if strings.Contains(s, "TVqQ") || strings.Contains(s, "AAAAAAAA") || !strings.Contains(s, "前の文") || !strings.Contains(s, "後の文") {
			t.Errorf("%s:\n%s", kind, s)
		}
		if res.Outcome != sanitize.Disarmed {
			t.Errorf("%s: outcome %v", kind, res.Outcome)
		}
		check(t, kind, "", raw)
	}
}
