package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// TestWhatOthersFindUnfitDoesNotCount has programs judge what was written.
func TestWhatOthersFindUnfitDoesNotCount(t *testing.T) {
	picture := func(out io.Writer, pages int) {
		for range pages {
			fmt.Fprintf(out, "P5\n2 3\n255\n%s", "123456")
		}
	}
	for _, c := range []struct {
		name string
		look func(c sanitize.ToolCall, out io.Writer) error
		want error
		said string
	}{
		{"fit", func(c sanitize.ToolCall, out io.Writer) error { picture(out, c.Last-c.First+1); return nil }, nil, ""},
		{"unfit", func(sanitize.ToolCall, io.Writer) error { return sanitize.ErrTool }, sanitize.ErrTool, ""},
		{"fit, and it left nothing", func(sanitize.ToolCall, io.Writer) error { return nil }, sanitize.ErrTool, ""},
		{"half a page", func(_ sanitize.ToolCall, out io.Writer) error {
			_, err := io.WriteString(out, "P5\n2 3\n255\n123")
			return err
		}, sanitize.ErrTool, ""},
		{"more pages", func(c sanitize.ToolCall, out io.Writer) error { picture(out, 2); return nil }, sanitize.ErrTool, ""},
		{"no picture", func(_ sanitize.ToolCall, out io.Writer) error {
			_, err := io.WriteString(out, strings.Repeat("x", 100))
			return err
		}, sanitize.ErrTool, ""},
		{"a picture of no size", func(_ sanitize.ToolCall, out io.Writer) error {
			_, err := io.WriteString(out, "P5\n0 99999999999\n255\n")
			return err
		}, sanitize.ErrTool, ""},
		{"not installed", func(sanitize.ToolCall, io.Writer) error { return sanitize.ErrNoTool }, sanitize.ErrNoTool, ""},
		{"asked often enough", func(sanitize.ToolCall, io.Writer) error { return sanitize.ErrLimit }, nil, "pdf.unjudged"},
	} {
		r, err := treatBy(page("", ""), func(_ context.Context, call sanitize.ToolCall, in io.Reader, out io.Writer) error {
			if b, err := io.ReadAll(in); err != nil || !bytes.HasPrefix(b, []byte(head)) || int64(len(b)) != call.Size {
				t.Errorf("%s: %d octets were shown, %v", c.name, len(b), err)
			}
			return c.look(call, out)
		}, nil)
		if !errors.Is(err, c.want) || (err != nil) != (len(r.out) == 0) {
			t.Errorf("%s: %v, %d octets", c.name, err, len(r.out))
		}
		if said := strings.Join(r.findings, " "); !strings.HasPrefix(said, c.said) || c.said == "" && said != "" {
			t.Errorf("%s: said %q", c.name, said)
		}
	}
}

// TestPagesWithFindingsAreDrawn: the first page and those of which something
// was taken.
func TestPagesWithFindingsAreDrawn(t *testing.T) {
	js := "/AA << /O << /S /JavaScript /JS (x) >> >>"
	doc := file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R 4 0 R 5 0 R 6 0 R] /Count 4 >>",
		"<< /Type /Page /MediaBox [0 0 9 9] >>", "<< /Type /Page /MediaBox [0 0 9 9] >>", "<< /Type /Page /MediaBox [0 0 9 9] "+js+" >>", "<< /Type /Page /MediaBox [0 0 9 9] "+js+" >>")
	var calls []sanitize.ToolCall
	if _, err := treatBy(doc, func(_ context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
		calls = append(calls, c)
		for range c.Last - c.First + 1 {
			fmt.Fprint(out, "P5\n1 1\n255\nx")
		}
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || calls[0].First != 1 || calls[0].Last != 1 || calls[1].First != 3 || calls[1].Last != 4 || calls[0].DPI != 36 || calls[0].Tool != sanitize.PDFLook {
		t.Errorf("%+v", calls)
	}
	for _, c := range []struct {
		pages []int
		most  int
		want  []pageRange
	}{
		{nil, 4, []pageRange{{1, 1}}},
		{[]int{1, 2, 3}, 4, []pageRange{{1, 3}}},
		{[]int{3, 5, 9}, 4, []pageRange{{1, 1}, {3, 3}, {5, 5}, {9, 9}}},
		{[]int{3, 5, 9}, 3, []pageRange{{1, 3}, {5, 5}, {9, 9}}},
		{[]int{10, 12, 90}, 3, []pageRange{{1, 1}, {10, 12}, {90, 90}}},
		{[]int{10, 12, 90}, 1, []pageRange{{1, 90}}},
		{[]int{500, 501, 9000}, 4, []pageRange{{1, 1}, {500, 500}}},
	} {
		if got := ranges(c.pages, c.most); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v in %d: %v, want %v", c.pages, c.most, got, c.want)
		}
	}
}

// TestPagesLargerThanReadersShowAreCut: D34 of hostile mail has one of 5 km.
func TestPagesLargerThanReadersShowAreCut(t *testing.T) {
	for box, want := range map[string]string{
		"0 0 600000 600000": "[0 0 14400 14400]",
		"10 20 600000 300":  "[10 20 14410 300]",
		"600000 0 0 842":    "[0 0 14400 842]",
		"-900000000000000000000 -100000 14400000 900000000000000000000": "[0 0 14400 14400]",
		"0 0 14400 14400": "[0 0 14400 14400]",
	} {
		r := must(t, page("", "/MediaBox ["+box+"]"))
		if shown := unpack(t, r.out); !strings.Contains(shown, "/MediaBox "+want) {
			t.Errorf("%s: %q", box, shown)
		}
		if r.has("pdf.page-size") == (box == "0 0 14400 14400") {
			t.Errorf("%s: %v", box, r.findings)
		}
	}
}
