package pipeline

import (
	"strings"
	"testing"
)

func TestOnlyWhatMayBePlainTextIsShownToTheLane(t *testing.T) {
	for _, c := range []struct {
		header string
		plain  bool
	}{
		{"From: a@b\r\n\r\n", true},
		{"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n", true},
		{"content-type:\r\n TEXT/Plain\r\n\r\n", true},
		{"Content-Type: text/plain\r\nContent-Type: text/plain\r\n\r\n", true}, // the lane sees to it
		{"Content-Type: text/html\r\n\r\n", false},
		{"Content-Type: multipart/mixed; boundary=x\r\n\r\n", false},
		{"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", false},
		{"Content-Type:\r\n\r\n", false},
		{"Content-Type: text\r\n\r\n", false},
		{"", true},
		{strings.Repeat("X: y\r\n", 3000) + "Content-Type: text/html\r\n\r\n", true}, // too many fields: the lane declines it
	} {
		m := c.header + "text\r\n"
		if got := mayBePlain(strings.NewReader(m), int64(len(m))); got != c.plain {
			t.Errorf("%.60q: %v, want %v", c.header, got, c.plain)
		}
	}
}
