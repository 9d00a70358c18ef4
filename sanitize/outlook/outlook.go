// Package outlook opens what only Outlook opens: the file in which it saves one
// message (.msg, [MS-OXMSG]) and the attachment winmail.dat in which it packs
// the files of a formatted mail (TNEF, [MS-OXTNEF]). Neither goes on. A saved
// message becomes an ordinary mail (.eml), which is treated as any forwarded
// mail is; the files in a winmail.dat are put beside it, in the mail that
// brought it, and are treated as if they had been attached there.
//
// Both hold the same properties ([MS-OXPROPS]) in two envelopes. msg.go and
// tnef.go read the envelopes, mapi.go says what the properties mean, rtf.go
// reads the text of a mail that has it as rich text, compose.go writes the
// mail.
//
// What is not known is not read, so nothing of it can go on: forms, reminders
// with their sound files, links to files elsewhere, OLE objects.
package outlook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"sekisho/sanitize"
)

// MSG turns a saved message into a mail, and has that treated.
type MSG struct{}

// Sanitize writes the treated mail to out.
func (MSG) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	m, err := openMSG(s, in)
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("open Outlook message: %w", err)
	}
	return asMail(ctx, s, in, m, sanitize.Finding{Rule: "outlook.msg", Action: sanitize.Rewritten, Detail: m.class}, out)
}

// asMail writes m as a mail and has that treated.
func asMail(ctx context.Context, s *sanitize.Session, in sanitize.Object, m *message, f sanitize.Finding, out io.Writer) (sanitize.Result, error) {
	mail := s.Table[sanitize.KindMessage]
	if mail == nil {
		return sanitize.Result{}, sanitize.ErrUnsupported
	}
	undo, err := s.Deeper()
	if err != nil {
		return sanitize.Result{}, err
	}
	defer undo()
	b, err := compose(m, s.Options.Limits.Expanded)
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("write it as a mail: %w", err)
	}
	s.Found(f)
	for _, f := range m.leftOut() {
		s.Found(f)
	}
	if _, err := mail.Sanitize(ctx, s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: in.Path, Name: in.Name, Kind: sanitize.KindMessage}, out); err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: sanitize.Disarmed, Kind: sanitize.KindMessage, Mode: sanitize.Convert}, nil
}

// TNEF puts what is in a winmail.dat beside it, in the mail that brought it.
// Nothing of the file itself goes on. Treated without a mail around it, it
// becomes one.
type TNEF struct{}

// Sanitize writes nothing when it puts files beside the host; the result has
// the kind KindOpened then.
func (TNEF) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	b, err := io.ReadAll(s.Meter(in.Reader()))
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("read TNEF: %w", err)
	}
	m, err := parseTNEF(s, b, in.Around, 0)
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("open TNEF: %w", err)
	}
	opened := sanitize.Finding{Rule: "outlook.tnef", Action: sanitize.Rewritten, Detail: fmt.Sprint(len(m.files))}
	if !s.InMail() {
		return asMail(ctx, s, in, m, opened, out)
	}
	for _, f := range m.leftOut() {
		s.Found(f)
	}
	n := 0
	put := func(o sanitize.Object) {
		n++
		o.Path = fmt.Sprintf("%s/%d", in.Path, n)
		s.Beside(o)
	}
	for _, t := range m.bodies() {
		put(sanitize.Object{ReaderAt: bytes.NewReader(t.data), Size: int64(len(t.data)), Declared: t.media, Charset: t.charset})
		break // the fullest; the mail has its own text as a rule
	}
	for _, a := range m.files {
		data := a.data
		if a.mail != nil {
			if data, err = compose(a.mail, s.Options.Limits.Expanded); err != nil {
				return sanitize.Result{}, fmt.Errorf("write a message in TNEF as a mail: %w", err)
			}
		}
		name := a.fileName()
		put(sanitize.Object{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), Name: name, Names: a.names, Declared: a.media, Around: in.Around})
	}
	s.Found(opened)
	return sanitize.Result{Outcome: sanitize.Disarmed, Kind: sanitize.KindOpened, Mode: sanitize.Convert}, nil
}

var errShort = fmt.Errorf("ends early: %w", sanitize.ErrMalformed)

// depth of messages in messages; the session counts the same once more.
const maxDepth = 10

var errDeep = errors.New("messages in messages")

func tooDeep() error { return fmt.Errorf("%w: %w", errDeep, sanitize.ErrLimit) }
