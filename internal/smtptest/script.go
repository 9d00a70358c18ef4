// Package smtptest plays SMTP dialogues that are written down in files, one
// behaviour a file, against a server on the other end of a net.Conn.
//
// A file is a list of steps, one a line. The first line is a comment that
// cites the standard, or says where else the behaviour is asked for:
//
//	# RFC 5321, 4.1.1.4: DATA needs a recipient.
//	#! plain-only
//	S: 220
//	C: EHLO client.example
//	S: 250
//	S! CHUNKING
//
//	C: text            sends text and CRLF
//	R: [n] "bytes"     sends a quoted Go string, n times
//	S: regexp          the next answer, all its lines, begins with this
//	S! regexp          the last answer has this nowhere
//	*: n "bytes" re    n times: sends (%d is the count from 1), and the answer begins with re
//	D: duration        the last answer came so long after the last sending, give or take a second
//	W: duration        says nothing for so long
//	X:                 the server closes and says nothing more
//	T:                 does a TLS handshake
//	A:                 goes away without a word
//	M: n               the server has taken n messages in all
//	E: from > to to    envelope of the last of them
//	B: regexp          the last of them has this in its bytes
//	B! regexp          and this not
//
// A script runs in clear and again inside STARTTLS, unless `#! plain-only`
// says that it is about the session before TLS. Other words after `#!` are
// options for the test that plays it: `#! pause` or `#! key=value`.
package smtptest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Script is one dialogue.
type Script struct {
	Name    string
	Options map[string]string
	steps   []step
}

type step struct {
	line  int
	op    byte
	not   bool // with "!"
	bytes string
	count int
	re    *regexp.Regexp
	wait  time.Duration
}

// citation is what a first comment must hold.
var citation = regexp.MustCompile(`RFC \d{3,5}|CVE-\d{4}-\d+|limits\.md`)

// Load reads all scripts of a folder, which must have some.
func Load(folder string) ([]*Script, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.smtp"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no dialogue in %s", folder)
	}
	var all []*Script
	for _, n := range names {
		f, err := os.Open(n)
		if err != nil {
			return nil, err
		}
		s, err := Parse(strings.TrimSuffix(filepath.Base(n), ".smtp"), f)
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Parse reads one script.
func Parse(name string, r io.Reader) (*Script, error) {
	s := &Script{Name: name, Options: make(map[string]string)}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		l := strings.TrimRight(lines.Text(), " ")
		if n == 1 && (!strings.HasPrefix(l, "# ") || !citation.MatchString(l)) {
			return nil, fmt.Errorf("%s:1: the first line must cite the standard", name)
		}
		if opts, ok := strings.CutPrefix(l, "#!"); ok {
			for _, o := range strings.Fields(opts) {
				k, v, _ := strings.Cut(o, "=")
				s.Options[k] = v
			}
			continue
		}
		if l == "" || l[0] == '#' {
			continue
		}
		st, err := parseStep(l)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		st.line = n
		s.steps = append(s.steps, st)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: no steps", name)
	}
	return s, nil
}

func parseStep(l string) (step, error) {
	if len(l) < 2 || l[1] != ':' && l[1] != '!' {
		return step{}, fmt.Errorf("%q is no step", l)
	}
	st := step{op: l[0], not: l[1] == '!', count: 1}
	arg := strings.TrimPrefix(l[2:], " ")
	var err error
	switch st.op {
	case 'C':
		st.bytes = arg + "\r\n"
	case 'R':
		var rest string
		st.count, st.bytes, rest, err = quoted(arg)
		if err == nil && rest != "" {
			err = fmt.Errorf("%q behind the string", rest)
		}
	case '*':
		var rest string
		st.count, st.bytes, rest, err = quoted(arg)
		if err == nil {
			st.re, err = regexp.Compile(`\A(?:` + rest + `)`)
		}
	case 'S':
		if st.not {
			st.re, err = regexp.Compile(arg)
		} else {
			st.re, err = regexp.Compile(`\A(?:` + arg + `)`)
		}
	case 'B':
		st.re, err = regexp.Compile(arg)
	case 'D', 'W':
		st.wait, err = time.ParseDuration(arg)
	case 'M':
		st.count, err = strconv.Atoi(arg)
	case 'E':
		st.bytes = strings.Join(strings.Fields(arg), " ")
	case 'X', 'T', 'A':
		if arg != "" {
			err = fmt.Errorf("%c takes no argument", st.op)
		}
	default:
		err = fmt.Errorf("%q is no step", l)
	}
	if st.not && st.op != 'S' && st.op != 'B' {
		err = fmt.Errorf("%c! is no step", st.op)
	}
	return st, err
}

// quoted reads `[n] "string" rest`.
func quoted(s string) (n int, text, rest string, err error) {
	n = 1
	if before, after, ok := strings.Cut(s, " "); ok {
		if k, e := strconv.Atoi(before); e == nil {
			n, s = k, after
		}
	}
	q, err := strconv.QuotedPrefix(s)
	if err != nil {
		return 0, "", "", fmt.Errorf("%q begins with no quoted string", s)
	}
	text, err = strconv.Unquote(q)
	return n, text, strings.TrimSpace(s[len(q):]), err
}
