package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// ladder is a document of things that each have the next one drawn, thirty of
// them. first is the program of the page, under whose resources the first is /X;
// step gives an object by its number, and that of the next.
func ladder(resources, first string, steps int, step func(next int) string) []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << " + resources + " >> >>",
		stream("", first), "<< >>",
	}
	for i := range steps {
		objects = append(objects, step(i+7))
	}
	return file(append(objects, stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", "0 0 5 5 re f"))...)
}

func formOf(resources, program string) string {
	return stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << "+resources+" >>", program)
}

// Forms and patterns that have each other drawn again and again are refused
// before anything draws.
func TestWhatWouldBeDrawnForHoursIsRefusedAtOnce(t *testing.T) {
	form := func(program string) func(int) string {
		return func(next int) string { return formOf(fmt.Sprintf("/XObject << /X %d 0 R >>", next), program) }
	}
	twice := "q /X Do Q /X Do"
	const x = "/XObject << /X 6 0 R >>"
	cases := map[string][]byte{
		"forms":              ladder(x, "/X Do", 30, form(twice)),
		"by many names":      ladder(x, "/X Do", 4, form(strings.Repeat("/X Do\n", 200))),
		"as looks of a note": bytes.Replace(ladder(x, "", 30, form(twice)), []byte("/MediaBox"), []byte("/Annots [<< /Subtype /Stamp /Rect [0 0 9 9] /AP << /N 6 0 R >> >>] /MediaBox"), 1),
		"names of whoever draws": ladder(x+" /Pattern << /Y 5 0 R >>", "/X Do", 30, func(next int) string {
			return formOf(fmt.Sprintf("/XObject << /X %d 0 R /Z 6 0 R >>", next), twice)
		}),
		"behind masks": ladder("/ExtGState << /X << /SMask << /S /Luminosity /G 6 0 R >> >> >>", "/X gs", 30, func(next int) string {
			return formOf(fmt.Sprintf("/ExtGState << /X << /SMask << /S /Luminosity /G %d 0 R >> >> >>", next), "q /X gs 0 0 1 1 re f Q /X gs 0 0 1 1 re f")
		}),
		"patterns": ladder("/Pattern << /X 6 0 R >>", "/Pattern cs /X scn 0 0 99 99 re f", 30, func(next int) string {
			return stream(fmt.Sprintf("/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 9 /YStep 9 /Resources << /Pattern << /X %d 0 R >> >>", next),
				"/Pattern cs /X scn 0 0 5 5 re f 0 0 4 4 re f")
		}),
		"a pattern of whoever draws": ladder("/Pattern << /P 7 0 R >> /XObject << /X 6 0 R >>", "/Pattern cs /P scn /X Do", 2, func(next int) string {
			if next == 7 {
				return formOf("", strings.Repeat("0 0 1 1 re f\n", 2000))
			}
			return stream("/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 9 /YStep 9 /Resources << /XObject << /X 8 0 R >> >>", strings.Repeat("/X Do\n", 2000))
		}),
	}
	// The letter draws a ladder of its own.
	cases["letters"] = ladder("/Font << /X 6 0 R >>", "BT /X 9 Tf (aa) Tj ET", 30, func(next int) string {
		if next == 7 {
			return "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 /LastChar 97 /Widths [9] /Encoding << /Differences [97 /a] >> " +
				"/CharProcs << /a 7 0 R >> /Resources << /XObject << /X 8 0 R >> >> >>"
		}
		if next == 8 {
			return stream("", "9 0 d0 /X Do")
		}
		return form(twice)(next)
	})
	for name, in := range cases {
		asked := 0
		tools := func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error { asked++; return sanitize.ErrTool }
		if _, err := treatBy(in, tools, nil); !errors.Is(err, sanitize.ErrLimit) || asked > 0 {
			t.Errorf("%s, rebuilt: %d programs asked, %v", name, asked, err)
		}
		s := session(len(in), nil)
		s.Tools = tools
		_, err := Pages{}.Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in))}, io.Discard)
		if !errors.Is(err, sanitize.ErrLimit) || asked > 0 {
			t.Errorf("%s, drawn: %d programs asked, %v", name, asked, err)
		}
	}
}

// What documents do is let by.
func TestFormsAreDrawnAsOftenAsDocumentsDo(t *testing.T) {
	cases := map[string][]byte{
		"a symbol, many times":  ladder("/XObject << /X 6 0 R >>", strings.Repeat("/X Do\n", 50_000), 0, nil),
		"a form draws itself":   ladder("/XObject << /X 6 0 R >>", "/X Do", 1, func(int) string { return formOf("/XObject << /X 6 0 R >>", "0 0 1 1 re f /X Do /X Do") }),
		"two draw each other":   ladder("/XObject << /X 6 0 R >>", "/X Do", 2, func(next int) string { return formOf(fmt.Sprintf("/XObject << /X %d 0 R >>", 13-next), "/X Do /X Do") }),
		"a deep row of forms":   ladder("/XObject << /X 6 0 R >>", "/X Do", 200, func(next int) string { return formOf(fmt.Sprintf("/XObject << /X %d 0 R >>", next), "/X Do") }),
		"no form, though named": ladder("", strings.Repeat("/X Do\n", 400_000), 0, nil),
	}
	for name, in := range cases {
		if err := drawnTooOften(t.Context(), in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
