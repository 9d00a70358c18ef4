package main

import (
	"bytes"
	"strings"
	"testing"
)

// asked runs the interview with somebody who types these lines.
func asked(ja bool, lines ...string) ([]*question, string, error) {
	var err bytes.Buffer
	u := &ui{out: &bytes.Buffer{}, err: &err, ja: ja}
	qs := questions()
	e := u.interview(qs, func(string) bool { return false }, strings.NewReader(strings.Join(lines, "\n")+"\n"), true)
	return qs, err.String(), e
}

func TestSixQuestionsAreAskedUntilAnswered(t *testing.T) {
	if n := len(questions()); n != 6 {
		t.Errorf("%d questions", n)
	}
	for _, ja := range []bool{false, true} {
		qs, said, err := asked(ja, "mx", "mx.town.example.lg.jp", "例示町", "", "town.example.lg.jp、old.example.jp", "10.1.0.10", "", "nobody", "joho@town.example.lg.jp")
		if err != nil {
			t.Fatal(err)
		}
		text := (&ui{ja: ja}).configuration(qs, "/var/lib/sekisho")
		for _, want := range []string{"hostname: mx.town.example.lg.jp\n", `name: "例示町"`, "domains: [town.example.lg.jp, old.example.jp]", "id: town\n",
			`hosts: ["10.1.0.10:25"]`, `networks: ["10.1.0.10/32"]`, "{ domain: old.example.jp, hop: town-mail }", `administrators: ["joho@town.example.lg.jp"]`} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if strings.Contains(text, "lgwan-relay") || hasJapanese(strings.ReplaceAll(text, "例示町", "")) != ja {
			t.Errorf("got\n%s", text)
		}
		for _, want := range []string{"1/6", "6/6", "mx", "nobody"} {
			if !strings.Contains(said, want) {
				t.Errorf("asked:\n%s", said)
			}
		}
		if strings.Count(said, "1/6") != 2 || strings.Count(said, "3/6") != 2 || strings.Count(said, "5/6") != 1 {
			t.Errorf("a wrong answer is asked for again, a right one is not:\n%s", said)
		}
	}
	if _, _, err := asked(false, "mx.town.example.lg.jp", "例示町"); err == nil || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("an interview that ends half-way: %v", err)
	}
}

func TestAnswersAreCheckedBeforeAnythingIsWritten(t *testing.T) {
	good := map[string]string{"hostname": "mx.town.example.lg.jp", "name": "町", "domains": "town.example.lg.jp", "mail-server": "mail.town.example.lg.jp:2525", "lgwan-relay": "10.9.0.1", "administrator": "a@b.example"}
	bad := map[string][]string{
		"hostname": {"", "mx", "mx.", "-a.example", "mx town.example", "a\nb.example"}, "name": {"", "a\nb", `a"b`}, "domains": {"", ",", "town", "town.example, x"},
		"mail-server": {"", "10.1.0.10:x", "10.1.0.10:", "a b:25", "[::1:25"}, "lgwan-relay": {"no", "a b"}, "administrator": {"", "a", "a@", "a@b", "a b@c.example", `"a"@b.example`, "a@b.example]"},
	}
	for flag, answers := range bad {
		for _, answer := range append(answers, good[flag]) {
			qs := questions()
			for _, q := range qs {
				q.answer = good[q.flag]
				if q.flag == flag {
					q.answer = answer
				}
			}
			err := (&ui{}).interview(qs, func(string) bool { return true }, strings.NewReader(""), false)
			if (err == nil) != (answer == good[flag]) {
				t.Errorf("--%s %q: %v", flag, answer, err)
			}
		}
	}
}
