// Package client speaks the administrators' API: the types that cross the unix
// socket, and a caller. The command line uses it; so may other programs of the
// host. Who calls is told by the kernel, never by the caller.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"
)

// What an error means, for the exit status. Errors of Call are asked with
// errors.Is.
var (
	ErrNotFound   = errors.New("not found")
	ErrNotAllowed = errors.New("not allowed")
	ErrUsage      = errors.New("wrong usage")
	ErrRunning    = errors.New("the gateway does not answer")
)

// Error is the gateway's answer to an act that it did not carry out.
type Error struct {
	Act  string // what was asked for
	Code string // as in Failure
	Text string // the gateway's sentence, in English
	// Faults are the lines of a file that are wrong, where the act was about
	// one.
	Faults []Fault
}

func (e *Error) Error() string { return e.Text }

// Is tells what the answer's code means. A code this version does not know is
// a failure and nothing else.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case codeNotFound:
		return target == ErrNotFound
	case codeNotAllowed:
		return target == ErrNotAllowed
	case codeUsage:
		return target == ErrUsage
	default:
		return false
	}
}

// Unreachable says that no gateway could be asked.
type Unreachable struct {
	Socket string
	Err    error
}

func (e *Unreachable) Error() string { return fmt.Sprintf("%v on %s: %v", ErrRunning, e.Socket, e.Err) }

// Unwrap gives the system's reason.
func (e *Unreachable) Unwrap() error { return e.Err }

// Is makes it an ErrRunning, and an ErrNotAllowed when the gateway may well be
// running but the file rights of its socket keep the caller out.
func (e *Unreachable) Is(target error) bool {
	return target == ErrRunning || target == ErrNotAllowed && errors.Is(e.Err, fs.ErrPermission)
}

// Held is one entry of the quarantine, as lists show it.
type Held struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Tenant  string    `json:"tenant"`
	From    string    `json:"from"`
	To      []string  `json:"to"`
	Subject string    `json:"subject"`
	Class   string    `json:"class"`
	Rule    string    `json:"rule"`
	Reasons []string  `json:"reasons"`
	Parts   []string  `json:"parts"` // names of the parts; empty: the whole message
	Size    int64     `json:"size"`
	Expires time.Time `json:"expires"`
}

// Finding, Part and Field mirror what the report says.
type (
	// Finding is one thing found in a part.
	Finding struct {
		Rule   string `json:"rule"`
		Where  string `json:"where"`
		Action string `json:"action"`
		Detail string `json:"detail"`
	}
	// Part is one part of a message.
	Part struct {
		Path     string    `json:"path"`
		Name     string    `json:"name"`
		Kind     string    `json:"kind"`
		OutKind  string    `json:"out_kind,omitempty"`
		Class    string    `json:"class"`
		Outcome  string    `json:"outcome"`
		Fate     string    `json:"fate"`
		Size     int64     `json:"size"`
		SHA256   string    `json:"sha256_in"`
		SHA256O  string    `json:"sha256_out,omitempty"`
		Findings []Finding `json:"findings"`
		Error    string    `json:"error,omitempty"`
	}
	// Field is one decoded header field.
	Field struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// Shown is a held entry whole.
type Shown struct {
	Held
	Parent   string  `json:"parent,omitempty"`
	Zone     string  `json:"zone"`
	Peer     string  `json:"peer"`
	Helo     string  `json:"helo"`
	TLS      string  `json:"tls,omitempty"`
	SHA256   string  `json:"sha256"`
	Header   []Field `json:"header"`
	Detail   []Part  `json:"report"`
	Text     string  `json:"text"`                // treated text, as today's engine makes it
	TextNote string  `json:"text_note,omitempty"` // why there is none
}

// Queued is one entry of the queue.
type Queued struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Tenant   string    `json:"tenant"`
	From     string    `json:"from"`
	To       []string  `json:"to"`
	Hop      string    `json:"hop"`
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due"`
	Err      string    `json:"err"`
	State    string    `json:"state"`
}

// Released says what became of a release.
type Released struct {
	ID      string   `json:"id"`
	State   string   `json:"state"` // delivered, queued, held, examining
	Reasons []string `json:"reasons,omitempty"`
}

// Route says where an address would be sent.
type Route struct {
	Address    string `json:"address"`
	Zone       string `json:"zone"`
	Hop        string `json:"hop"`
	Network    string `json:"network"`
	Route      string `json:"route"` // the rule that said so
	Subdomains bool   `json:"subdomains"`
	Treatment  string `json:"treatment"`
}

// Account is a named person of the host.
type Account struct {
	Name    string    `json:"name"`
	UID     int       `json:"uid"`
	Created time.Time `json:"created"`
}

// Record is one record of the audit.
type Record struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Tenant string    `json:"tenant"`
	Actor  string    `json:"actor"`
	Act    string    `json:"act"`
	ID     string    `json:"id"`
	Detail string    `json:"detail"`
	Prev   string    `json:"prev"`
	Hash   string    `json:"hash"`
}

// Verified says whether the audit is whole.
type Verified struct {
	Records int64  `json:"records"`
	Intact  bool   `json:"intact"`
	Broken  int64  `json:"broken,omitempty"` // sequence number of the first record that does not fit
	Last    string `json:"last"`             // hash of the last record, to be noted elsewhere
}

// Check is one line of doctor.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // pass, warn, fail
	Detail string `json:"detail"`
}

// Version says what runs.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Engine  string `json:"engine"`
	Go      string `json:"go"`
}

// Request carries the arguments of every act; each reads the fields it needs.
type Request struct {
	Tenant  string   `json:"tenant,omitempty"`
	ID      string   `json:"id,omitempty"`
	After   string   `json:"after,omitempty"`
	Limit   int      `json:"limit,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	To      []string `json:"to,omitempty"`
	Address string   `json:"address,omitempty"`
	Zone    string   `json:"zone,omitempty"`
	Name    string   `json:"name,omitempty"`
	UID     int      `json:"uid,omitempty"`
	Seq     int64    `json:"seq,omitempty"`

	Data         []byte    `json:"data,omitempty"` // a file
	Date         string    `json:"date,omitempty"`
	DryRun       bool      `json:"dry_run,omitempty"`
	AllowRemoval int       `json:"allow_removal,omitempty"` // percent
	Version      int64     `json:"version,omitempty"`
	Query        string    `json:"query,omitempty"`
	Since        time.Time `json:"since,omitzero"`
}

// The codes of a Failure that mean something to a caller; "failed" and any
// other say that it did not work.
const (
	codeNotFound   = "not-found"
	codeNotAllowed = "not-allowed"
	codeUsage      = "usage"
)

// Failure is the body of an answer that is no success.
type Failure struct {
	Code  string `json:"code"` // not-found, not-allowed, usage, failed
	Error string `json:"error"`

	Faults []Fault `json:"faults,omitempty"`
}

// maxAnswer bounds an answer: 500 entries of a list, each with its header,
// fit many times.
const maxAnswer = 256 << 20

// Client calls a running gateway.
type Client struct {
	Socket string
	http   *http.Client
}

// New returns a client for the socket.
func New(socket string) *Client {
	return &Client{Socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Call carries out act with the arguments req and decodes the answer into out,
// which may be nil. An error is an *Error when the gateway answered, and an
// *Unreachable when there was none.
func (c *Client) Call(ctx context.Context, act string, req Request, out any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sekisho/v1/"+act, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", act, context.Cause(ctx))
		}
		// The address is made up and would only confuse: what matters is the
		// socket and the system's word.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return &Unreachable{Socket: c.Socket, Err: err}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", act, context.Cause(ctx))
		}
		return fmt.Errorf("%s: read answer: %w", act, err)
	}
	if len(raw) > maxAnswer {
		return fmt.Errorf("%s: the answer is larger than %d MiB", act, maxAnswer>>20)
	}
	if res.StatusCode != http.StatusOK {
		var f Failure
		if err := json.Unmarshal(raw, &f); err != nil || f.Error == "" {
			// Not the API: an act that this gateway is too old for, or another
			// program on this socket.
			return fmt.Errorf("%s: the gateway on %s does not know this act (%s): is it of another version?", act, c.Socket, res.Status)
		}
		return &Error{Act: act, Code: f.Code, Text: f.Error, Faults: f.Faults}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s: answer: %w", act, err)
	}
	return nil
}
