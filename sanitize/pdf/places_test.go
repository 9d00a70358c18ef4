package pdf

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// Where readers look for something to do and lists of such places often end. No
// octet of any comes out, and the words of the page stay.
func TestPlacesFewKnowHoldNothing(t *testing.T) {
	const js = "<< /S /JavaScript /JS (MARK) >>"
	link := func(action string) string {
		return "/Annots [<< /Subtype /Link /Rect [1 2 3 4] /A << " + action + " >> >>]"
	}
	for name, c := range map[string]struct{ catalog, page, more string }{
		"requirements":              {catalog: "/Requirements [<< /S /EnableJavaScripts /RH [<< /S /JS /Script (MARK) >>] >>]"},
		"portfolio":                 {catalog: "/Collection << /View /T /D (MARK) >>"},
		"parts of a document":       {catalog: "/DPartRoot << /DPartRootNode << /X (MARK) >> >> /Extensions << /MARK << /BaseVersion /1.7 >> >>"},
		"certificates":              {catalog: "/DSS << /Certs [6 0 R] /X (MARK) >> /Legal << /Attestation (MARK) >> /Perms << /DocMDP << /X (MARK) >> >>"},
		"web capture":               {catalog: "/SpiderInfo << /V 1.0 /C [6 0 R] >> /Names << /IDS << /Names [(MARK) 6 0 R] >> /URLS << /Names [(MARK) 6 0 R] >> >>", more: "(MARK)"},
		"shows and renditions":      {catalog: "/Names << /AlternatePresentations << /Names [(a) << /Type /SlideShow /N (MARK) >>] >> /Renditions << /Names [(a) << /S /MR /N (MARK) >>] >> >>"},
		"templates":                 {catalog: "/Names << /Templates << /Names [(MARK) 3 0 R] >> /Pages << /Names [(MARK) 3 0 R] >> >>"},
		"leaves of a tree of names": {catalog: "/Names << /JavaScript << /Kids [<< /Limits [(a) (b)] /Names [(a) " + js + "] >>] >> >>"},
		"a base of addresses":       {catalog: "/URI << /Base (http://example.com/MARK) >>"},
		"a key that is said twice":  {catalog: "/OpenAction [3 0 R /Fit] /OpenAction " + js + " /OpenAction [3 0 R /Fit]"},
		"names in disguise":         {catalog: "/Open#41ction << /#53 /Java#53cript /#4aS (MARK) >> /A#41 << /W#43 " + js + " >>"},
		"steps of a presentation":   {page: "/PresSteps << /NA " + js + " >> /Trans << /S /Fly /X (MARK) >>"},
		"what follows a layer":      {page: link("/S /SetOCGState /State [/ON 6 0 R] /Next " + js)},
		"what follows a way":        {page: link("/S /GoTo /D [3 0 R /Fit] /Next [" + js + " << /S /Launch /F (MARK) >>]")},
		"a way into a part":         {page: link("/S /GoToDp /Dp 6 0 R /E (MARK)")},
		"a thread of another file":  {page: link("/S /Thread /F (MARK) /D 0")},
		"a file within":             {page: link("/S /GoToE /T << /R /C /N (MARK) >>")},
		"a command to a film":       {page: link("/S /RichMediaExecute /CMD << /C (MARK) >>")},
		"data for a form":           {page: link("/S /ImportData /F (MARK)")},
		"a program by its name":     {page: link("/S /Named /N /MARK")},
		"an address in octal":       {page: link(`/S /URI /URI (\152avascript:MARK)`)},
		"an address behind a blank": {page: link("/S /URI /URI ( javascript:MARK)")},
		"text of a comment":         {page: "/Annots [<< /Subtype /Text /Rect [1 2 3 4] /Contents (ok) /RC (<body><script>MARK</script></body>) /ExData << /Subtype /Markup3D /X (MARK) >> >>]"},
		"marks of a printer":        {page: "/Annots [<< /Subtype /TrapNet /Rect [1 2 3 4] /X (MARK) >> << /Subtype /Watermark /Rect [1 2 3 4] /FixedPrint << /X (MARK) >> >> << /Subtype /Projection /Rect [1 2 3 4] /X (MARK) >>]"},
		"a picture of the page":     {page: "/Thumb 6 0 R /Beads [6 0 R] /PieceInfo << /MARK << /Private (MARK) >> >>", more: "(MARK)"},
		"a form from elsewhere":     {page: "/Resources << /XObject << /X 6 0 R >> >>", more: "<< /Subtype /Form /BBox [0 0 9 9] /OPI << /2.0 << /F (MARK) >> >> /Ref << /F (MARK) /Page 0 >> /Length 0 >>\nstream\n\nendstream"},
	} {
		more := c.more
		if more == "" {
			more = "null"
		}
		in := page(c.catalog, c.page, more)
		if !strings.Contains(string(in), "MARK") {
			t.Fatalf("%s: there is nothing to find", name)
		}
		text := unpack(t, must(t, in).out)
		if strings.Contains(text, "MARK") || strings.Contains(text, "/JavaScript") || strings.Contains(text, "/Launch") {
			t.Errorf("%s came out:\n%s", name, text)
		}
		if !strings.Contains(text, "(The words stay) Tj") {
			t.Errorf("%s: the words are lost", name)
		}
	}
}

// Trees of pages that meet themselves, again and again or very deep, end.
func TestTreesOfPagesThatNeverEndEnd(t *testing.T) {
	tree := func(n int, kids func(i int) string) []byte {
		objects := []string{"<< /Type /Catalog /Pages 4 0 R >>", "<< /Type /Page /MediaBox [0 0 595 842] /Contents 3 0 R >>", stream("", pageText)}
		for i := range n {
			objects = append(objects, "<< /Type /Pages /Count 2147483647 /Kids ["+kids(i)+"] >>")
		}
		return fileWith("", objects...)
	}
	for name, in := range map[string][]byte{
		"itself":          tree(1, func(int) string { return "2 0 R 4 0 R" }),
		"a ladder":        tree(3000, func(i int) string { return fmt.Sprintf("2 0 R %d 0 R", min(i+5, 3003)) }),
		"twice each time": tree(40, func(i int) string { return strings.Repeat(fmt.Sprintf("%d 0 R ", min(i+5, 43)), 2) + "2 0 R" }),
	} {
		if r := must(t, in); !strings.Contains(unpack(t, r.out), "(The words stay) Tj") {
			t.Errorf("%s: the words are lost", name)
		}
	}
}

// What acts and stands behind a key that is said twice is told, whichever of the
// two a reader takes.
func TestAKeySaidTwiceIsTold(t *testing.T) {
	const js = "<< /S /JavaScript /JS (MARK) >>"
	for name, in := range map[string][]byte{
		"first":      page("/OpenAction "+js+" /OpenAction [3 0 R /Fit]", ""),
		"middle":     page("/OpenAction [3 0 R /Fit] /OpenAction 6 0 R /OpenAction [3 0 R /Fit]", "", js),
		"last":       page("/OpenAction [3 0 R /Fit] /OpenAction "+js, ""),
		"taken back": page("/OpenAction "+js+" /OpenAction null", ""),
		"of a page":  page("", "/AA << /O "+js+" >> /AA << >>"),
	} {
		r := must(t, in)
		if !r.has("pdf.javascript") || r.res.Outcome != sanitize.Disarmed {
			t.Errorf("%s: %s, %v", name, r.res.Outcome, r.findings)
		}
		if text := unpack(t, r.out); strings.Contains(text, "MARK") {
			t.Errorf("%s came out: %s", name, text)
		}
	}
	if r := must(t, page("/OpenAction [3 0 R /Fit] /OpenAction [3 0 R /Fit] /PageMode /UseNone /PageMode /UseNone", "")); r.res.Outcome != sanitize.Clean {
		t.Errorf("nothing that acts: %s, %v", r.res.Outcome, r.findings)
	}
}
