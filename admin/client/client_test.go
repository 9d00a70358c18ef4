package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve answers on a socket until the test ends.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return New(socket)
}

func TestAnAnswerMeansWhatItsCodeSays(t *testing.T) {
	for _, c := range []struct {
		code string
		want error
	}{
		{"not-found", ErrNotFound}, {"not-allowed", ErrNotAllowed}, {"usage", ErrUsage}, {"failed", nil}, {"of a later version", nil}, {"", nil},
	} {
		cl := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_ = json.NewEncoder(w).Encode(Failure{Code: c.code, Error: "a sentence"})
		})
		err := cl.Call(t.Context(), "act", Request{}, nil)
		var e *Error
		if !errors.As(err, &e) || e.Error() != "a sentence" || e.Act != "act" {
			t.Fatalf("code %q: %#v", c.code, err)
		}
		for _, kind := range []error{ErrNotFound, ErrNotAllowed, ErrUsage, ErrRunning} {
			if got := errors.Is(err, kind); got != (kind == c.want) {
				t.Errorf("code %q is %v: %v", c.code, kind, got)
			}
		}
	}
}

func TestARequestAndItsAnswerGoThrough(t *testing.T) {
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var q Request
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != "/v1/quarantine.release" || r.Method != http.MethodPost || q.ID != "x" || q.Reason != "理由" {
			t.Errorf("%s %s %+v (%v)", r.Method, r.URL, q, err)
		}
		_ = json.NewEncoder(w).Encode(Released{ID: "y", State: "held", Reasons: []string{"a"}})
	})
	var r Released
	if err := cl.Call(t.Context(), "quarantine.release", Request{ID: "x", Reason: "理由"}, &r); err != nil || r.ID != "y" || r.State != "held" || len(r.Reasons) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := cl.Call(t.Context(), "quarantine.release", Request{ID: "x", Reason: "理由"}, nil); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"an act it does not know": http.NotFound,
		"no JSON":                 func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"the wrong type":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[1]") },
		"nothing":                 func(http.ResponseWriter, *http.Request) {},
		"a failure without words": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); fmt.Fprint(w, "{}") },
		"a body cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		},
	} {
		var r Released
		err := serve(t, h).Call(t.Context(), "act", Request{}, &r)
		if err == nil || !strings.HasPrefix(err.Error(), "act: ") {
			t.Errorf("%s: %v", name, err)
		}
		var e *Error
		if errors.As(err, &e) || errors.Is(err, ErrRunning) {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestNoGatewayIsUnreachable(t *testing.T) {
	dir := t.TempDir()
	err := New(filepath.Join(dir, "none")).Call(t.Context(), "act", Request{}, nil)
	var u *Unreachable
	if !errors.As(err, &u) || u.Socket != filepath.Join(dir, "none") || !errors.Is(err, ErrRunning) || errors.Is(err, ErrNotAllowed) {
		t.Errorf("no socket: %#v", err)
	}
	// A socket that nobody listens on any more.
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "old"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	if err := New(filepath.Join(dir, "old")).Call(t.Context(), "act", Request{}, nil); !errors.Is(err, ErrRunning) || strings.Contains(err.Error(), "http://") {
		t.Errorf("an old socket: %v", err)
	}
	// One that hangs up.
	l, err := net.Listen("unix", filepath.Join(dir, "rude"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if err := New(filepath.Join(dir, "rude")).Call(t.Context(), "act", Request{}, nil); !errors.Is(err, ErrRunning) {
		t.Errorf("a rude one: %v", err)
	}
}

func TestAWaitingCallEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	began := make(chan struct{})
	cl := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(began)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if err := cl.Call(ctx, "act", Request{}, nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrRunning) {
		t.Errorf("%v", err)
	}
}
