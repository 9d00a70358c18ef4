package message

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"sekisho/internal/header"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// A forwarded mail that cannot be read is kept back as a part. What it holds
// must still count for the classes for which the whole message waits, or a
// program would only have to travel in a broken mail to let the rest through.
// So everything in it that some program could take for a file is looked at, as
// leniently as that program might be. What is found can only make a message
// wait; nothing that is read here is ever written.

// Bounds of that look, above every mail that a person forwards.
const (
	maxSuspects = 200
	maxLayers   = 5 // mails in mails, base64 in base64
)

// fileName finds the parameters by which parts are named, in every form.
var fileName = lazy.Compile(`(?i)name(?:\*[0-9]*\*?)?[ \t]*=[ \t]*("[^"\r\n]*"|[^;\s]+)`)

// suspects are the kinds of danger that o could hold.
func (w *work) suspects(o sanitize.Object) []sanitize.Kind {
	if w.s.Detect == nil {
		return nil
	}
	l := look{w: w}
	l.message(o, 0)
	return l.kinds
}

type look struct {
	w     *work
	kinds []sanitize.Kind
	n     int // things looked at
}

// see asks what a thing is. Names alone can make it dangerous.
func (l *look) see(o sanitize.Object, layer int) {
	if l.n++; l.n > maxSuspects || l.w.ctx.Err() != nil {
		return
	}
	d, err := l.w.s.Detect(o)
	if err != nil {
		return
	}
	for _, k := range append([]sanitize.Kind{d.Kind}, d.Inside...) {
		if c := k.Class(); c != sanitize.ClassExecutable && c != sanitize.ClassEncrypted || slices.Contains(l.kinds, k) {
			continue
		}
		l.kinds = append(l.kinds, k)
	}
	switch d.Kind {
	case sanitize.KindMessage, sanitize.KindText, sanitize.KindHTML, sanitize.KindUnknown:
		// A mail without the usual fields looks like text.
		l.message(o, layer+1)
	}
}

// message looks through raw octets, whatever their structure.
func (l *look) message(o sanitize.Object, layer int) {
	if layer > maxLayers || l.n > maxSuspects {
		return
	}
	br := bufio.NewReaderSize(o.Reader(), 64<<10)
	var run []byte // base64, line by line
	flush := func() {
		if len(run) >= 16 {
			// Foreign characters were left out, and what follows padding is read
			// on, as the most lenient programs do.
			out := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
			n, _ := base64.RawStdEncoding.Decode(out, run)
			if l.w.s.Spend(int64(n)) == nil && n > 0 {
				l.see(sanitize.Object{ReaderAt: bytes.NewReader(out[:n]), Size: int64(n)}, layer)
			}
		}
		run = run[:0]
	}
	for {
		b, err := br.ReadSlice('\n')
		t := bytes.TrimSpace(b)
		switch {
		case len(t) > 0 && base64Line(bytes.TrimRight(t, "="), true):
			run = append(run, bytes.TrimRight(t, "=")...)
		default:
			flush()
			l.names(t)
			if len(t) > 1 && fileSignature(t) && t[0] != '<' {
				// A file that was not encoded; its first octets say enough.
				l.see(sanitize.Object{ReaderAt: bytes.NewReader(bytes.Clone(t)), Size: int64(len(t))}, layer)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	flush()
	cuts, err := embedded(o.Reader(), o.Size)
	if err != nil {
		return
	}
	for _, c := range cuts {
		name, data := c.name, c.data
		if c.what == sawBinHex {
			f, err := readBinHex(bytes.NewReader(c.data), l.w.s.Meter)
			if err != nil {
				continue
			}
			name, data = f.name, f.data
		}
		if len(data) > 0 {
			l.see(sanitize.Object{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), Name: name, Names: []string{name}}, layer)
		}
	}
}

// names judges the names of files in a line.
func (l *look) names(line []byte) {
	if !bytes.ContainsRune(line, '=') {
		return
	}
	for _, m := range fileName.FindAllStringSubmatch(string(line), 20) {
		name := strings.Trim(m[1], `"`)
		if _, v, ok := strings.Cut(name, "''"); ok {
			name = v
		}
		var names []string
		for _, n := range []string{name, unpercent(name), header.DecodeText(name)} {
			names = append(names, strings.TrimRight(n, " .\t"))
		}
		const words = "a file of this name\r\n"
		l.see(sanitize.Object{ReaderAt: strings.NewReader(words), Size: int64(len(words)), Name: name, Names: names}, maxLayers)
	}
}

var percent = lazy.Compile(`%[0-9A-Fa-f]{2}`)

func unpercent(s string) string {
	return percent.ReplaceAllStringFunc(s, func(p string) string {
		c, _ := unhex(p[1], p[2])
		return string(rune(c))
	})
}
