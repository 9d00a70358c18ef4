package smtpd

import (
	"bytes"
	"strings"

	"sekisho/internal/header"
)

// Bounds of what is looked at in the top header block; above every legal mail
// seen. Beyond them the worker judges, here it is only not read.
const (
	maxTopBytes  = 256 << 10
	maxTopFields = 2_000
	maxTopValue  = 998 // of a value kept for lists and searches; RFC 5322, 2.1.1
	maxTopField  = 2 << 10
	maxTopLists  = 64 << 10 // of a list of recipients, on listeners inside: a thousand addresses
)

// topBlock reads the top header block of a message that streams by: it counts
// hops, and keeps the few values that lists and searches show, as they came.
// It decodes nothing and holds one field, cut short, at a time: thousands of
// peers may be in the middle of their header, and internal/header.ReadBlock,
// which judges it later, holds a whole block of 256 KiB.
type topBlock struct {
	hostname string

	received                 int // Received fields
	own                      int // those that we wrote
	from, messageID, subject string

	rich bool // Content-Type says that it is more than plain text

	lists bool     // keep what To and Cc say
	shown []string // that is it

	cur    []byte // the field being read
	middle bool   // of a line
	bytes  int
	fields int
	done   bool
}

func newTopBlock(hostname string) *topBlock {
	return &topBlock{hostname: strings.ToLower(hostname)}
}

// Write takes bytes of the message, lines ending in CRLF. It never fails.
func (t *topBlock) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && !t.done {
		if !t.middle {
			switch p[0] {
			case '\r':
				t.end()
				return n, nil
			case ' ', '\t':
			default:
				t.field()
				t.fields++
			}
			t.middle = true
		}
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line, t.middle = p[:i+1], false
		}
		p = p[len(line):]
		most := maxTopField
		if t.lists {
			most = maxTopLists
		}
		t.cur = append(t.cur, line[:min(len(line), most-len(t.cur))]...)
		if t.bytes += len(line); t.bytes > maxTopBytes || t.fields > maxTopFields {
			t.end()
		}
	}
	return n, nil
}

// end says that no more of the block comes.
func (t *topBlock) end() {
	if !t.done {
		t.field()
		t.done = true
	}
}

// field looks at the field that has just ended.
func (t *topBlock) field() {
	name, value, ok := bytes.Cut(t.cur, []byte(":"))
	if ok {
		v := strings.TrimSpace(strings.ReplaceAll(string(value), "\r\n", ""))
		switch strings.ToLower(string(bytes.TrimRight(name, " \t"))) {
		case "received":
			t.received++
			if t.wroteBy(v) {
				t.own++
			}
		case "to", "cc":
			if t.lists {
				t.shown = append(t.shown, v)
			}
		case "content-type":
			t.rich = t.rich || !header.MayBePlain(v)
		case "from":
			keep(&t.from, v)
		case "message-id":
			keep(&t.messageID, v)
		case "subject":
			keep(&t.subject, v)
		}
	}
	t.cur = t.cur[:0]
}

// visible counts the addresses of To and Cc for which outside says so, each
// once.
func (t *topBlock) visible(outside func(domain string) bool) int {
	seen := map[string]bool{}
	for _, list := range t.shown {
		ms, _ := header.ParseAddressList(list)
		for _, m := range ms {
			at := strings.LastIndexByte(m.Addr, '@')
			if at >= 0 && outside(m.Addr[at+1:]) {
				seen[strings.ToLower(m.Addr)] = true
			}
		}
	}
	return len(seen)
}

// keep keeps the first value of a field that stands there more than once.
func keep(to *string, v string) {
	if *to == "" {
		*to = v[:min(len(v), maxTopValue)]
	}
}

// wroteBy reports whether a Received field names us behind "by". RFC 5321, 4.4.
func (t *topBlock) wroteBy(v string) bool {
	words := strings.Fields(strings.ToLower(v))
	for i, w := range words {
		if w == "by" && i+1 < len(words) && strings.TrimRight(words[i+1], ";") == t.hostname {
			return true
		}
	}
	return false
}
