package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"sekisho/envelope"
)

// Rspamd returns a scanner that asks rspamd's normal worker by HTTP
// (POST /checkv2). address is HOST:PORT or unix:PATH. Its actions mean:
//
//	no action, greylist            clean: after 250 it is too late to greylist
//	add header, rewrite subject    marked
//	quarantine, reject, discard    spam
//	soft reject                    no answer: "come again later"
//
// Any other action is no answer.
func Rspamd(name, address string) *Scanner {
	network, addr := split(address)
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
		MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
	}
	host := addr
	if network == "unix" {
		host = "rspamd"
	}
	return &Scanner{Name: name, engine: &rspamd{host: host, client: &http.Client{Transport: t,
		// A scanner that sends us elsewhere is no scanner.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}}
}

type rspamd struct {
	host   string
	client *http.Client
}

func (r *rspamd) antivirus() bool { return false }
func (r *rspamd) dated() bool     { return false }

func (r *rspamd) do(req *http.Request) ([]byte, http.Header, error) {
	res, err := r.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	untrusted, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(untrusted) > maxAnswer:
		return nil, nil, fmt.Errorf("an answer of more than %d octets", maxAnswer)
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("it says %s", res.Status)
	}
	return untrusted, res.Header, nil
}

func (r *rspamd) scan(ctx context.Context, m Message) (answer, error) {
	e := m.Envelope
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.host+"/checkv2", io.NewSectionReader(m.Bytes, 0, e.Size))
	if err != nil {
		return answer{}, err
	}
	req.ContentLength = e.Size
	set := func(name, value string) {
		// What a peer said goes into a header field only if it is one.
		if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			req.Header.Set(name, value)
		}
	}
	set("Queue-Id", string(e.ID))
	set("From", e.From.String())
	if e.Peer.Addr.IsValid() {
		set("IP", e.Peer.Addr.Unmap().String())
	}
	set("Helo", e.Peer.Helo)
	for _, a := range e.To {
		if s := a.String(); !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			req.Header.Add("Rcpt", s)
		}
	}
	untrusted, _, err := r.do(req)
	if err != nil {
		return answer{}, err
	}
	return rspamdAnswer(untrusted)
}

// rspamdAnswer understands an answer to /checkv2.
func rspamdAnswer(untrusted []byte) (answer, error) {
	var a struct {
		Action   string   `json:"action"`
		Score    *float64 `json:"score"`
		Required *float64 `json:"required_score"`
		Error    string   `json:"error"`
	}
	if err := json.Unmarshal(untrusted, &a); err != nil {
		return answer{}, fmt.Errorf("an answer that is none: %w", err)
	}
	if a.Error != "" {
		return answer{}, fmt.Errorf("it says %q", a.Error)
	}
	if a.Score == nil || a.Required == nil {
		return answer{}, errors.New("an answer without a score")
	}
	out := answer{detail: fmt.Sprintf("%s, %.1f of %.1f", a.Action, *a.Score, *a.Required)}
	switch a.Action {
	case "no action", "greylist":
		out.verdict = envelope.ScanClean
	case "add header", "rewrite subject":
		out.verdict = envelope.ScanMarked
	case "quarantine", "reject", "discard":
		out.verdict = envelope.ScanSpam
	default: // "soft reject" too
		return answer{}, fmt.Errorf("it says %q", a.Action)
	}
	return out, nil
}

func (r *rspamd) probe(ctx context.Context) (time.Time, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+"/ping", nil)
	if err != nil {
		return time.Time{}, "", err
	}
	pong, h, err := r.do(req)
	if err != nil {
		return time.Time{}, "", err
	}
	if strings.TrimSpace(string(pong)) != "pong" {
		return time.Time{}, "", fmt.Errorf("to /ping it says %q", printable(string(pong)))
	}
	return time.Time{}, h.Get("Server"), nil
}
