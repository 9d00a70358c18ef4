package lazy

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLazyExpressionIsTheSameExpression(t *testing.T) {
	const text, s = `(?i)\b([a-z])(\d+)`, "a1 B22 c"
	l, r := Compile(text), regexp.MustCompile(text)
	for range 2 { // the first use and a later one
		if l.MatchString(s) != r.MatchString(s) || l.Match([]byte("x")) != r.Match([]byte("x")) {
			t.Error("match")
		}
		if got, want := l.FindString(s), r.FindString(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := l.FindStringIndex(s), r.FindStringIndex(s); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got, want := l.FindStringSubmatch(s), r.FindStringSubmatch(s); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := l.ReplaceAllString(s, "<$2>"), r.ReplaceAllString(s, "<$2>"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := string(l.ReplaceAllFunc([]byte(s), bytes.ToUpper)), string(r.ReplaceAllFunc([]byte(s), bytes.ToUpper)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := l.FindSubmatch([]byte(s)), r.FindSubmatch([]byte(s)); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := l.ReplaceAllStringFunc(s, strings.ToUpper), r.ReplaceAllStringFunc(s, strings.ToUpper); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestInvalidExpressionPanicsAtItsFirstUse(t *testing.T) {
	l := Compile(`(`)
	defer func() {
		if recover() == nil {
			t.Error("it did not")
		}
	}()
	l.MatchString("")
}
