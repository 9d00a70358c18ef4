package envelope

import "testing"

func TestXtextIsReadStrictly(t *testing.T) {
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"QQ314159", "QQ314159", true},
		{"a+2Bb+3Dc", "a+b=c", true},
		{"a+20b", "a b", true},
		{"", "", true},
		{"a+2bb", "", false}, // RFC 3461, 4: upper case only
		{"a+2", "", false},
		{"a+", "", false},
		{"a=b", "", false},
		{"a b", "", false},
		{"a\tb", "", false},
		{"a+0D+0Ab", "", false},
		{"a+00b", "", false},
		{"a+FFb", "", false},
		{"\xe3\x81\x82", "", false},
	} {
		got, ok := Xtext(c.in)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("Xtext(%q) = %q, %v; want %q, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

func TestWhatASenderIsToldOf(t *testing.T) {
	for _, c := range []struct {
		n                         Notify
		success, failure, delayed bool
		text                      string
	}{
		{0, false, true, true, ""},
		{NotifyNever, false, false, false, "NEVER"},
		{NotifySuccess, true, false, false, "SUCCESS"},
		{NotifyFailure, false, true, false, "FAILURE"},
		{NotifyDelay | NotifySuccess, true, false, true, "SUCCESS,DELAY"},
		{NotifyNever | NotifySuccess, false, false, false, "NEVER,SUCCESS"},
		{64, false, false, false, ""},
	} {
		if s, f, d := c.n.Of(NotifySuccess), c.n.Of(NotifyFailure), c.n.Of(NotifyDelay); s != c.success || f != c.failure || d != c.delayed {
			t.Errorf("%d: success %v, failure %v, delay %v", c.n, s, f, d)
		}
		if got := c.n.String(); got != c.text {
			t.Errorf("%d is written %q, want %q", c.n, got, c.text)
		}
	}
}

// FuzzXtext: what is read is one printable line, whatever was written.
func FuzzXtext(f *testing.F) {
	for _, s := range []string{"QQ314159", "a+2Bb", "+", "+0D+0A", "=", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Xtext(s)
		if !ok {
			return
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("%q gave %q", s, got)
			}
		}
		if len(got) > len(s) {
			t.Fatalf("%q grew to %q", s, got)
		}
	})
}
