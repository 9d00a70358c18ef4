// Package sanitize says what it means to make a file harmless: what a kind, an
// outcome, a finding and a report are, what one message may spend, and how the
// two processes on either side of the isolation boundary talk. It holds no
// parser: sekishod links it, and everything that reads hostile bytes lives
// below it and is linked by the worker alone.
//
// Zero values never let anything through: Outcome(0) is no answer, Fate(0)
// keeps back, the zero Rule holds, the zero Options treat nothing.
package sanitize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Outcome is what became of one file.
type Outcome uint8

// The outcomes. Zero is not an answer.
const (
	Clean    Outcome = 1 // nothing had to be taken; re-encoding is not news
	Disarmed Outcome = 2 // something was taken, a finding says what
	Refused  Outcome = 3 // no harmless form could be made
)

func (o Outcome) String() string {
	switch o {
	case Clean:
		return "clean"
	case Disarmed:
		return "disarmed"
	default:
		return "refused"
	}
}

// Mode is the step of the ladder that made an output.
type Mode uint8

// The steps, in the order in which they are tried.
const (
	Rebuild Mode = 1
	Convert Mode = 2
	Flatten Mode = 3
	Text    Mode = 4
)

func (m Mode) String() string {
	switch m {
	case Rebuild:
		return "rebuild"
	case Convert:
		return "convert"
	case Flatten:
		return "flatten"
	case Text:
		return "text"
	default:
		return ""
	}
}

// Action is what was done to the thing a finding speaks of.
type Action string

// The actions of findings.
const (
	Removed     Action = "removed"     // dropped, references fixed
	Rewritten   Action = "rewritten"   // written anew from what is known harmless
	Neutralised Action = "neutralised" // its text stays, its effect does not
	Replaced    Action = "replaced"    // by its cached or displayed result
	Reported    Action = "reported"    // left as it is, worth knowing
)

// Finding is one thing found in a file and what was done about it. Rule is a
// stable code ("ooxml.vba"), Where a place inside the file.
type Finding struct {
	Rule   string `json:"rule"`
	Where  string `json:"where"`
	Action Action `json:"action"`
	Detail string `json:"detail"`
}

// Changed reports whether the finding took something from the reader, which a
// notice must say and which makes the outcome Disarmed.
func (f Finding) Changed() bool {
	switch f.Action {
	case Removed, Neutralised, Replaced:
		return true
	default:
		return false
	}
}

// Object is one thing to be made safe; the message itself is the outermost.
type Object struct {
	io.ReaderAt
	Size     int64
	Path     string   // place in the message: "2.1", inside a container "2.1/word/embeddings/a.xlsx"
	Name     string   // the name a reader is shown, decoded
	Names    []string // every name any client could show; the most dangerous one decides
	Declared string   // media type claimed by the sender, lower case, without parameters
	Charset  string   // charset claimed by the sender, for text
	Around   string   // charset claimed for the words of the mail it came in: a hint for names that are in none of their own
	Kind     Kind     // what detection found; set by the Session
	InText   bool     // it is written into the running text of a mail, as uuencode is, and no part of the mail
}

// Reader returns a reader over the whole object.
func (o Object) Reader() *io.SectionReader { return io.NewSectionReader(o, 0, o.Size) }

// Result says what a sanitizer wrote: docm in, docx out.
type Result struct {
	Outcome Outcome
	Kind    Kind
	Mode    Mode
}

// A Sanitizer writes to out a harmless equivalent of in. Any error means
// Refused, and nothing written to out may then be used. It may call
// s.Nested for what it finds inside, s.Meter for what it expands and s.Found
// for what it takes; it keeps no state between calls.
type Sanitizer interface {
	Sanitize(ctx context.Context, s *Session, in Object, out io.Writer) (Result, error)
}

// Errors a sanitizer ends with. Ambiguous, malformed container and limit never
// go down the ladder to another parser.
var (
	ErrMalformed   = errors.New("malformed")
	ErrAmbiguous   = errors.New("ambiguous")
	ErrContainer   = fmt.Errorf("container %w", ErrMalformed) // malformed below what the format itself says
	ErrLimit       = errors.New("over a limit")
	ErrEncrypted   = errors.New("encrypted")
	ErrUnsupported = errors.New("no sanitizer for this kind")
	ErrWithheld    = errors.New("withheld by the profile")
	ErrTooBig      = errors.New("the mail would be larger than its next server takes")
	// ErrOwnProcess: not plain text, so the lane must not touch it.
	ErrOwnProcess = errors.New("needs a process of its own")
)

// Fate is what became of a part of a message.
type Fate uint8

// The fates. The zero value keeps back.
const (
	KeptBack  Fate = 0
	Delivered Fate = 1
	Dropped   Fate = 2 // removed with a notice; it stays in the stored original
)

func (f Fate) String() string {
	switch f {
	case Delivered:
		return "delivered"
	case Dropped:
		return "removed"
	default:
		return "kept back"
	}
}

// Digest is a SHA-256; text form is hexadecimal.
type Digest [sha256.Size]byte

// MarshalText writes hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) {
		return fmt.Errorf("digest of %d characters", len(b))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Tried is a step of the ladder that did not succeed, and why.
type Tried struct {
	Mode Mode   `json:"mode"`
	Why  string `json:"why"`
}

// Part is what the report says of one attachment, body part or file.
type Part struct {
	Path     string    `json:"path"`
	Name     string    `json:"name"`
	OutName  string    `json:"out_name,omitempty"`
	Declared string    `json:"declared"`
	Kind     Kind      `json:"kind"`
	OutKind  Kind      `json:"out_kind,omitempty"`
	Class    Class     `json:"class"`
	Inside   []Kind    `json:"inside,omitempty"`  // dangerous kinds detection saw in a container
	InText   bool      `json:"in_text,omitempty"` // it was written into a text, and is no part of the mail
	Mode     Mode      `json:"mode,omitempty"`
	Tried    []Tried   `json:"tried,omitempty"` // steps of the ladder that did not make it
	Outcome  Outcome   `json:"outcome"`
	Fate     Fate      `json:"fate"`
	Size     int64     `json:"size"`
	In       Digest    `json:"in"`
	Out      Digest    `json:"out"`
	Findings []Finding `json:"findings,omitempty"`
	Err      string    `json:"err,omitempty"`
}

// Mailbox is one mailbox of a header field, its display name decoded.
type Mailbox struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

// Field is one allow-listed header field with its decoded value; the parent
// writes it. Fields of addresses have Mailboxes, all others Text.
type Field struct {
	Name      string    `json:"name"`
	Text      string    `json:"text,omitempty"`
	Mailboxes []Mailbox `json:"mailboxes,omitempty"`
}

// Hold is a reason for which the whole message waits.
type Hold struct {
	Class  Class  `json:"class"`  // ambiguous, limit ...
	Code   string `json:"code"`   // stable: "mime.duplicate-content-type"
	Detail string `json:"detail"` // where, for the administrator
}

// Report is all that a run of the worker says of a message or file.
type Report struct {
	Engine  string  `json:"engine"`
	Outcome Outcome `json:"outcome"`
	Changed bool    `json:"changed"`          // something was taken that a notice mentions
	Header  []Field `json:"header,omitempty"` // of the outermost message
	Parts   []Part  `json:"parts,omitempty"`
	Holds   []Hold  `json:"holds,omitempty"`
	Preview string  `json:"preview,omitempty"` // treated text, only when asked for; never stored
}

// Task is what a worker is started for.
type Task uint8

// The tasks.
const (
	TaskMail       Task = 1 // a gateway mail: Content-* fields and body out, header in the report
	TaskFile       Task = 2 // a local file, a mail is a file like any other
	TaskVerifyMail Task = 3 // a whole treated mail: nothing may be found, nothing is written
	TaskVerifyFile Task = 4
	TaskDetect     Task = 5 // kinds only, nothing is written
)

// URLs is what happens to link targets shown in text.
type URLs uint8

// The ways with URLs; zero keeps the text and shows the real target.
const (
	KeepURLs   URLs = 0
	DefangURLs URLs = 1
	RemoveURLs URLs = 2
)

// Rule is what a profile says of a class of files: the steps to try in order,
// and what happens when none succeeds. The zero Rule holds.
type Rule struct {
	Steps []Mode `json:"steps,omitempty"`
	Drop  bool   `json:"drop,omitempty"` // at the end remove with a notice instead of keeping back
}

// Allows reports whether step m may be tried.
func (r Rule) Allows(m Mode) bool {
	for _, s := range r.Steps {
		if s == m {
			return true
		}
	}
	return false
}

// Options is all that a worker is told. They come from policy before the run;
// the worker has no other source of settings.
type Options struct {
	Task       Task                         `json:"task"`
	ID         string                       `json:"id"`                // of the message, for the notice
	PartID     string                       `json:"part_id,omitempty"` // of the entry that will hold parts kept back
	Expires    time.Time                    `json:"expires"`           // of that entry
	Now        time.Time                    `json:"now"`
	Language   string                       `json:"language"`            // of notices: "ja", "en", "ja+en"
	Wording    map[string]map[string]string `json:"wording,omitempty"`   // what the site says in the place of our own words, by language and section
	AuthLine   string                       `json:"auth_line,omitempty"` // sender authentication, one line
	Hostname   string                       `json:"hostname,omitempty"`
	Own        []string                     `json:"own,omitempty"` // the tenant's domains: a stranger's display name that shows one is marked
	Rules      map[Class]Rule               `json:"rules"`
	URLs       URLs                         `json:"urls,omitempty"`
	Codes      bool                         `json:"codes,omitempty"`     // look for QR codes in pictures and pages
	KeepCSV    bool                         `json:"keep_csv,omitempty"`  // leave CSV cells that look like formulas
	Comments   bool                         `json:"comments,omitempty"`  // take comments out of documents
	Accept     bool                         `json:"accept,omitempty"`    // accept the tracked changes of texts
	Reject     bool                         `json:"reject,omitempty"`    // take the tracked changes of texts out: what was before them stays
	Only       []string                     `json:"only,omitempty"`      // a release of parts: the new mail holds just these paths
	KeepAll    bool                         `json:"keep_all,omitempty"`  // second run: every attachment is kept back
	Preview    bool                         `json:"preview,omitempty"`   // put the treated text into the report
	KindHint   Kind                         `json:"kind_hint,omitempty"` // TaskVerifyFile: what the output must be
	FileName   string                       `json:"file_name,omitempty"` // TaskFile: the name the file has
	Limits     Limits                       `json:"limits"`
	Values     bool                         `json:"values,omitempty"`      // cells of workbooks keep their values and no formulas
	Embedded   bool                         `json:"embedded,omitempty"`    // documents inside Office documents are put beside them
	SmallPages bool                         `json:"small_pages,omitempty"` // flattened pages that are no pictures in black and white
	Kinds      map[Kind]Rule                `json:"kinds,omitempty"`       // what the profile says of a kind for itself, where its class may be treated
	Drawings   bool                         `json:"drawings,omitempty"`    // drawings of Windows inside documents become pictures
	Hooks      map[Kind]Hook                `json:"hooks,omitempty"`       // kinds that a converter of the administrator's makes a PDF of; see UseConverters
	Most       int64                        `json:"most,omitempty"`        // octets that the next server takes, 0 when that is not known

	// Lane is the tenant in whose lane the message may be treated, if it is
	// plain text; empty: in a process of its own. The worker is not told.
	Lane string `json:"-"`

	// Tenant is whose message it is: of several that wait for a process, that of
	// the tenant served longest ago comes first. The worker is not told.
	Tenant string `json:"-"`

	// Converters are what the numbers of Hooks stand for. The parent runs them;
	// the worker is not told.
	Converters []Converter `json:"-"`

	// Drawn is told how many pages of how many are drawn, by the parent, which
	// runs what draws them; may be nil. It is called in the midst of the run.
	Drawn func(done, of int) `json:"-"`
}

// Rule returns what the profile says of class c; the zero Rule when nothing.
func (o *Options) Rule(c Class) Rule { return o.Rules[c] }

// RuleOf returns what the profile says of kind k: for itself, or by its class.
// What a class does not allow no kind of it allows.
func (o *Options) RuleOf(k Kind) Rule {
	class := o.Rule(k.Class())
	if own, ok := o.Kinds[k]; ok && len(class.Steps) > 0 {
		return own
	}
	return class
}

// Selected reports whether the part at path is wanted. In a release of parts
// only those named are, with all that is inside them, and what they are inside
// of.
func (o *Options) Selected(path string) bool {
	if len(o.Only) == 0 {
		return true
	}
	for _, only := range o.Only {
		if only == path || Inside(path, only) || Inside(only, path) {
			return true
		}
	}
	return false
}

// Wanted reports whether the part at path was asked for itself, or is inside one
// that was.
func (o *Options) Wanted(path string) bool {
	if len(o.Only) == 0 {
		return true
	}
	for _, only := range o.Only {
		if only == path || Inside(path, only) {
			return true
		}
	}
	return false
}

// Inside reports whether path is below host.
func Inside(path, host string) bool {
	return len(path) > len(host) && strings.HasPrefix(path, host) && (path[len(host)] == '.' || path[len(host)] == '/')
}
