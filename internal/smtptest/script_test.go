package smtptest

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

func TestScriptsThatMeanNothingAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no citation", "# hello\nC: NOOP\n", ":1: the first line"},
		{"empty", "# RFC 5321\n", "no steps"},
		{"unknown step", "# RFC 5321\nQ: x\n", ":2: "},
		{"no colon", "# RFC 5321\nNOOP\n", ":2: "},
		{"bad string", "# RFC 5321\nR: x\n", "no quoted string"},
		{"rest", "# RFC 5321\nR: \"x\" y\n", "behind the string"},
		{"bad regexp", "# RFC 5321\nS: (\n", ":2: "},
		{"argument", "# RFC 5321\nX: y\n", "no argument"},
		{"negated", "# RFC 5321\nC! y\n", "C! is no step"},
		{"duration", "# RFC 5321\nW: soon\n", ":2: "},
	} {
		_, err := Parse("f", strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, wanted %q", c.name, err, c.want)
		}
	}
}

// serve answers lines by a table until it has none for one.
func serve(c net.Conn, answers map[string]string) {
	defer c.Close()
	c.Write([]byte("220 hello\r\n"))
	r := bufio.NewReader(c)
	for {
		l, err := r.ReadString('\n')
		a, ok := answers[strings.TrimRight(l, "\r\n")]
		if err != nil || !ok {
			return
		}
		c.Write([]byte(a))
	}
}

func TestPlayerTellsRightFromWrong(t *testing.T) {
	answers := map[string]string{"NOOP": "250-a\r\n250 b\r\n", "1": "250 1\r\n", "2": "250 2\r\n", "BAD": "250 x\n"}
	messages := func() []Message { return []Message{{From: "a@b", To: []string{"c@d", "e@f"}, Data: []byte("x\r\ny")}} }
	for _, c := range []struct{ name, text, want string }{
		{"right", "S: 220\nC: NOOP\nS: 250-a\\n250 b\nS! c\n*: 2 \"%d\\r\\n\" 250\nD: 0s\nM: 1\nE: a@b > c@d e@f\nB: x\\r\\ny\nB! z\nC: QUIT\nX:\n", ""},
		{"other answer", "S: 250\n", `:2: got "220 hello"`},
		{"not anchored inside", "S: hello\n", `:2: got "220 hello"`},
		{"forbidden text", "S: 220\nC: NOOP\nS: 250\nS! a\n", `wanted no a`},
		{"silence", "S: 220\nS: 250\n", "no answer"},
		{"still open", "S: 220\nX:\n", "did not close"},
		{"still talking", "S: 220\nC: NOOP\nX:\n", "went on"},
		{"no CR", "S: 220\nC: BAD\nS: 250\n", "answer line"},
		{"too late", "S: 220\nC: NOOP\nS: 250\nD: 2s\n", "took"},
		{"number", "S: 220\nM: 2\n", "1 messages"},
		{"envelope", "S: 220\nE: a@b > c@d\n", "envelope"},
		{"bytes", "S: 220\nB: z\n", "wanted z"},
		{"not bytes", "S: 220\nB! y\n", "wanted y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse("f", strings.NewReader("# RFC 5321\n"+c.text))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				mine, theirs := net.Pipe()
				go serve(theirs, answers)
				err := s.Play(Player{Conn: mine, Messages: messages})
				switch {
				case c.want == "" && err != nil:
					t.Errorf("got %v", err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("got %v, wanted %q", err, c.want)
				}
			})
		})
	}
}
