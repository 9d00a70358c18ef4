package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/admin"
	"sekisho/admin/client"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/policy"
	"sekisho/quarantine"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/spool"
	"sekisho/tenant"
)

// desk is the API on a real socket, over a real journal.
type desk struct {
	*admin.Admin
	store  *sqlite.Store
	spool  *spool.Spool
	socket string
	log    bytes.Buffer
	n      int
}

// newDesk opens one. uid is whose account there is.
func newDesk(t *testing.T, uid int) *desk {
	t.Helper()
	folder := t.TempDir()
	d := &desk{socket: filepath.Join(folder, "admin.sock")}
	signer, err := seal.NewSigner(seal.NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	if d.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "j.db"), Seal: signer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	keys, err := blob.OpenKeyring(t.Context(), filepath.Join(folder, "site.key"), d.store)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	d.spool = &spool.Spool{Journal: d.store, Blobs: blobs, Keys: keys, Seal: signer, MinFree: 1 << 20}
	table, err := routing.New([]routing.Hop{{Name: "town-mail", Network: envelope.NetworkLocal, Hosts: []string{"127.0.0.1:1"}}},
		[]routing.Route{{Domain: "town.example", Hop: "town-mail"}}, []string{"lg.jp"}, nil, []string{"town.example"})
	if err != nil {
		t.Fatal(err)
	}
	tenants, err := tenant.New([]tenant.Tenant{{ID: "town", Domains: []string{"town.example"}, Profile: "default"}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&d.log, nil))
	d.Admin = &admin.Admin{
		Quarantine: &quarantine.Quarantine{Spool: d.spool, Now: time.Now, Log: log, Originals: func() time.Duration { return time.Hour }},
		Journal:    d.spool, Accounts: d.store, Table: func() *routing.Table { return table }, Tenants: func() *tenant.Directory { return tenants },
		Preview: func(context.Context, spool.Entry) (string, error) { return "treated text", nil },
		Retry:   func(context.Context, envelope.TenantID, envelope.ID, string) error { return spool.ErrState },
		Doctor:  func(context.Context) []client.Check { return []client.Check{{Name: "store", Status: "pass"}} },
		About:   client.Version{Version: "test"}, Now: time.Now, Log: log,
	}
	if err := d.store.AddAccount(t.Context(), admin.Account{Name: "hanako", UID: uid, Created: time.Now()}, audit.Event{Act: "account-added"}); err != nil {
		t.Fatal(err)
	}
	l, err := admin.Listen(d.socket, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return d
}

// call asks as the command line does.
func (d *desk) call(t *testing.T, act string, q client.Request, out any) error {
	t.Helper()
	return client.New(d.socket).Call(t.Context(), act, q, out)
}

// raw posts a body as it is and returns the status and the failure.
func (d *desk) raw(t *testing.T, method, path, body string) (int, client.Failure) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var n net.Dialer
		return n.DialContext(ctx, "unix", d.socket)
	}, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://sekisho"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var f client.Failure
	_ = json.Unmarshal(b, &f) // not every answer is one
	return res.StatusCode, f
}

// hold takes a mail in and holds it.
func (d *desk) hold(t *testing.T, class sanitize.Class) envelope.ID {
	t.Helper()
	draft, err := d.spool.NewDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Write([]byte("Subject: x\r\n\r\nbody\r\n")); err != nil {
		t.Fatal(err)
	}
	d.n++
	now := time.Now().Add(time.Duration(d.n) * time.Millisecond)
	e := envelope.Envelope{ID: envelope.NewID(now), Tenant: "town", Profile: "default", From: envelope.Address{Local: "a", Domain: "partner.example"},
		To: []envelope.Address{{Local: "b", Domain: "town.example"}}, Received: now, Subject: "of the top"}
	if err := d.spool.Accept(t.Context(), draft, []envelope.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	got, err := d.spool.Take(t.Context(), "town", e.ID, spool.Received)
	if err != nil {
		t.Fatal(err)
	}
	err = d.spool.Settle(t.Context(), got, spool.Change{To: spool.Held, Update: func(e *spool.Entry) {
		e.Verdict, e.Expires = policy.Verdict{Class: class, Rule: "test", Reasons: []string{"because"}}, now.Add(time.Hour)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// acts are all the acts of the API, with what a caller without an account must
// not even learn the existence of.
var acts = []string{"quarantine.list", "quarantine.show", "quarantine.release", "quarantine.status", "quarantine.delete", "queue.list", "queue.retry",
	"original.request", "original.approve", "original.deny", "route.test", "account.list", "account.add", "account.remove", "audit.list", "audit.verify", "doctor", "version"}

func TestUIDWithoutAnAccountMayDoNothing(t *testing.T) {
	d := newDesk(t, os.Getuid()+1)
	id := d.hold(t, sanitize.ClassExecutable)
	for _, a := range acts {
		err := d.call(t, a, client.Request{ID: string(id), Reason: "x", Name: "me", UID: os.Getuid(), Address: "b@town.example"}, nil)
		if !errors.Is(err, client.ErrNotAllowed) {
			t.Errorf("%s: %v, want %v", a, err, client.ErrNotAllowed)
		}
	}
	as, err := d.store.Accounts(t.Context())
	if err != nil || len(as) != 1 {
		t.Errorf("accounts %v, %v", as, err)
	}
	if e, err := d.spool.Get(t.Context(), "town", id); err != nil || e.State != spool.Held {
		t.Errorf("%s, %v", e.State, err)
	}
}

func TestWrongRequestsAreRefused(t *testing.T) {
	d := newDesk(t, os.Getuid())
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no act", "POST", "/v1/", "{}", 404},
		{"an act that is none", "POST", "/v1/quarantine.export", "{}", 404},
		{"to be read", "GET", "/v1/quarantine.list", "", 405},
		{"no JSON", "POST", "/v1/quarantine.list", "x", 409},
		{"an unknown field", "POST", "/v1/quarantine.list", `{"uid_of_caller": 0}`, 409},
		{"another type", "POST", "/v1/quarantine.list", `{"limit": "many"}`, 409},
		{"nothing", "POST", "/v1/quarantine.list", "", 409},
		{"longer than a request can be", "POST", "/v1/quarantine.list", `{"reason": "` + strings.Repeat("x", 1<<20) + `"}`, 409},
	} {
		if status, f := d.raw(t, c.method, c.path, c.body); status != c.status {
			t.Errorf("%s: status %d, %+v, want %d", c.name, status, f, c.status)
		}
	}
}

// TestFailuresTellTheirKind: the exit status of the command line hangs on it.
func TestFailuresTellTheirKind(t *testing.T) {
	d := newDesk(t, os.Getuid())
	held, tampered := string(d.hold(t, sanitize.ClassExecutable)), string(d.hold(t, sanitize.ClassTampered))
	done := d.hold(t, sanitize.ClassExecutable)
	if err := d.call(t, "quarantine.delete", client.Request{ID: string(done), Reason: "x"}, nil); err != nil {
		t.Fatal(err)
	}
	nowhere := string(envelope.NewID(time.Now()))
	for _, c := range []struct {
		name, act string
		q         client.Request
		want      error
	}{
		{"no id", "quarantine.show", client.Request{}, client.ErrNotFound},
		{"an id that is none", "quarantine.release", client.Request{ID: "../../x", Reason: "y"}, client.ErrNotFound},
		{"nowhere", "quarantine.show", client.Request{ID: nowhere}, client.ErrNotFound},
		{"nowhere to release", "quarantine.release", client.Request{ID: nowhere, Reason: "y"}, client.ErrNotFound},
		{"nowhere to delete", "quarantine.delete", client.Request{ID: nowhere, Reason: "y"}, client.ErrNotFound},
		{"nowhere to ask", "quarantine.status", client.Request{ID: nowhere}, client.ErrNotFound},
		{"of another tenant", "quarantine.show", client.Request{ID: held, Tenant: "village"}, client.ErrNotFound},
		{"released for another tenant", "quarantine.release", client.Request{ID: held, Tenant: "village", Reason: "y"}, client.ErrNotFound},
		{"over", "quarantine.show", client.Request{ID: string(done)}, client.ErrNotFound},
		{"over, released", "quarantine.release", client.Request{ID: string(done), Reason: "y"}, client.ErrNotFound},
		{"over, deleted", "quarantine.delete", client.Request{ID: string(done), Reason: "y"}, client.ErrNotFound},
		{"held, retried", "queue.retry", client.Request{ID: held}, client.ErrNotFound},
		{"no reason", "quarantine.release", client.Request{ID: held}, client.ErrUsage},
		{"no reason to delete", "quarantine.delete", client.Request{ID: held}, client.ErrUsage},
		{"to no address", "quarantine.release", client.Request{ID: held, Reason: "y", To: []string{"nobody"}}, client.ErrUsage},
		{"to a stranger", "quarantine.release", client.Request{ID: held, Reason: "y", To: []string{"z@town.example"}}, client.ErrNotAllowed},
		{"an original", "original.request", client.Request{ID: held, Reason: "y"}, client.ErrNotAllowed},
		{"an original, approved", "original.approve", client.Request{ID: held, Reason: "y"}, client.ErrNotAllowed},
		{"an original, denied", "original.deny", client.Request{ID: held}, client.ErrNotAllowed},
		{"an original of nothing", "original.request", client.Request{ID: nowhere, Reason: "y"}, client.ErrNotFound},
		{"an original of another tenant", "original.request", client.Request{ID: held, Tenant: "village"}, client.ErrNotFound},
		{"tampered", "quarantine.release", client.Request{ID: tampered, Reason: "y"}, client.ErrNotAllowed},
		{"a route nobody has", "route.test", client.Request{Address: "a@outside.example"}, client.ErrNotFound},
		{"no address", "route.test", client.Request{Address: "x"}, client.ErrUsage},
		{"no zone", "route.test", client.Request{Address: "b@town.example", Zone: "mars"}, client.ErrUsage},
		{"an account without a name", "account.add", client.Request{UID: 7}, client.ErrUsage},
		{"a name with a line end", "account.add", client.Request{Name: "a\nb", UID: 7}, client.ErrUsage},
		{"a name with what shows nothing", "account.add", client.Request{Name: "hana\u200bko", UID: 7}, client.ErrUsage},
		{"a name that turns the line", "account.add", client.Request{Name: "\u202eokanah", UID: 7}, client.ErrUsage},
		{"a name with a control of eight bits", "account.add", client.Request{Name: "a\u009b31m", UID: 7}, client.ErrUsage},
		{"a reason of blanks", "quarantine.release", client.Request{ID: held, Reason: " \u3000\n"}, client.ErrUsage},
		{"a reason of blanks to delete", "quarantine.delete", client.Request{ID: held, Reason: "\t"}, client.ErrUsage},
		{"a reason like a book", "quarantine.delete", client.Request{ID: held, Reason: strings.Repeat("長", 1001)}, client.ErrUsage},
		{"a name that is too long", "account.add", client.Request{Name: strings.Repeat("a", 65), UID: 7}, client.ErrUsage},
		{"a negative uid", "account.add", client.Request{Name: "jiro", UID: -1}, client.ErrUsage},
		{"a name twice", "account.add", client.Request{Name: "hanako", UID: 4711}, client.ErrUsage},
		{"a uid twice", "account.add", client.Request{Name: "jiro", UID: os.Getuid()}, client.ErrUsage},
		{"nobody's account", "account.remove", client.Request{Name: "jiro"}, client.ErrNotFound},
		{"one's own account", "account.remove", client.Request{Name: "hanako"}, client.ErrNotAllowed},
	} {
		if err := d.call(t, c.act, c.q, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if e, err := d.spool.Get(t.Context(), "town", envelope.ID(held)); err != nil || e.State != spool.Held {
		t.Errorf("%s, %v", e.State, err)
	}
}

// TestEveryActIsOnRecordUnderItsName: looking is an act as well.
func TestEveryActIsOnRecordUnderItsName(t *testing.T) {
	d := newDesk(t, os.Getuid())
	id, other := d.hold(t, sanitize.ClassExecutable), d.hold(t, sanitize.ClassPDF)
	var shown client.Shown
	if err := d.call(t, "quarantine.show", client.Request{ID: string(id)}, &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Text != "treated text" || shown.Class != "executable" || !slices.Equal(shown.Reasons, []string{"because"}) || shown.Subject != "of the top" || len(shown.SHA256) != 64 {
		t.Errorf("%+v", shown)
	}
	var released client.Released
	if err := d.call(t, "quarantine.release", client.Request{ID: string(id), Reason: "asked for"}, &released); err != nil || released.ID != string(id) || released.State != "examining" {
		t.Errorf("%+v, %v", released, err)
	}
	if err := d.call(t, "quarantine.delete", client.Request{ID: string(other), Reason: "not needed"}, nil); err != nil {
		t.Error(err)
	}
	if err := d.call(t, "account.add", client.Request{Name: "jiro", UID: 4711}, nil); err != nil {
		t.Error(err)
	}
	if err := d.call(t, "account.remove", client.Request{Name: "jiro"}, nil); err != nil {
		t.Error(err)
	}
	var rs []client.Record
	if err := d.call(t, "audit.list", client.Request{}, &rs); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rs {
		if r.Actor == "hanako" {
			got = append(got, r.Act+" "+r.ID)
		}
	}
	want := []string{"shown " + string(id), "released " + string(id), "deleted " + string(other), "account-added ", "account-removed "}
	if !slices.Equal(got, want) {
		t.Errorf("audit %q, want %q", got, want)
	}
	var v client.Verified
	if err := d.call(t, "audit.verify", client.Request{}, &v); err != nil || !v.Intact || v.Records != int64(len(rs)) || v.Last != rs[len(rs)-1].Hash {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestLookThatCannotBeRecordedShowsNothing(t *testing.T) {
	d := newDesk(t, os.Getuid())
	id := d.hold(t, sanitize.ClassExecutable)
	d.Journal = unrecorded{d.spool}
	var shown client.Shown
	if err := d.call(t, "quarantine.show", client.Request{ID: string(id)}, &shown); err == nil || shown.Text != "" {
		t.Errorf("%v, %q", err, shown.Text)
	}
}

// unrecorded is a journal whose audit cannot be written.
type unrecorded struct{ spool.Journal }

func (unrecorded) Record(context.Context, []audit.Event) error { return errors.New("disk full") }

func TestEntryInSomebodysHandIsNotGone(t *testing.T) {
	d := newDesk(t, os.Getuid())
	id := d.hold(t, sanitize.ClassExecutable)
	if _, err := d.spool.Take(t.Context(), "town", id, spool.Held); err != nil {
		t.Fatal(err)
	}
	err := d.call(t, "quarantine.release", client.Request{ID: string(id), Reason: "x"}, nil)
	if err == nil || errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrUsage) || !strings.Contains(err.Error(), "try again") {
		t.Errorf("%v", err)
	}
}

func TestListsGoOnWhereTheyEnded(t *testing.T) {
	d := newDesk(t, os.Getuid())
	var want []string
	for range 7 {
		want = append(want, string(d.hold(t, sanitize.ClassExecutable)))
	}
	var got []string
	q := client.Request{Limit: 3}
	for {
		var es []client.Held
		if err := d.call(t, "quarantine.list", q, &es); err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			got = append(got, e.ID)
		}
		if len(es) < q.Limit {
			break
		}
		q.After = es[len(es)-1].ID
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// A name typed wrong must not read as "nothing is held".
	for _, act := range []string{"quarantine.list", "queue.list", "audit.list"} {
		var es []json.RawMessage
		if err := d.call(t, act, client.Request{Tenant: "vilage"}, &es); !errors.Is(err, client.ErrNotFound) || len(es) != 0 {
			t.Errorf("%s of a tenant that is none: %s, %v", act, es, err)
		}
	}
}

func TestRouteSaysHowMailIsTreated(t *testing.T) {
	d := newDesk(t, os.Getuid())
	for _, c := range []struct{ zone, treatment string }{{"", "rebuild"}, {"internet", "rebuild"}, {"internet-segment", "rebuild"}, {"lgwan", "pass"}} {
		var r client.Route
		if err := d.call(t, "route.test", client.Request{Address: "b@town.example", Zone: c.zone}, &r); err != nil || r.Hop != "town-mail" || r.Treatment != c.treatment {
			t.Errorf("zone %q: %+v, %v, want %s", c.zone, r, err, c.treatment)
		}
	}
}

func TestSocketIsForOneGroupAndOneGateway(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "admin.sock")
	// One that a dead gateway left.
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := admin.Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if l, err := admin.Listen(path, -1); err == nil {
		l.Close()
		t.Error("a second gateway took the socket away")
	} else if !strings.Contains(err.Error(), "another sekishod") {
		t.Error(err)
	}
}

func TestPersonsAccountIsAskedForEachCall(t *testing.T) {
	d := newDesk(t, os.Getuid())
	c := client.New(d.socket) // one connection for both
	if err := c.Call(t.Context(), "version", client.Request{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.store.RemoveAccount(t.Context(), "hanako", audit.Event{Act: "account-removed"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "version", client.Request{}, nil); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("%v, want %v", err, client.ErrNotAllowed)
	}
	if !strings.Contains(d.log.String(), fmt.Sprintf("uid %d has no account", os.Getuid())) {
		t.Errorf("the log says nothing of it:\n%s", d.log.String())
	}
}

// What a person began when the gateway is told to stop is finished before the
// store is closed.
func TestStopWaitsForWhatWasBegun(t *testing.T) {
	d := newDesk(t, os.Getuid())
	id := d.hold(t, sanitize.ClassFailed)
	begun := make(chan struct{})
	var over atomic.Bool
	d.Retry = func(context.Context, envelope.TenantID, envelope.ID, string) error {
		close(begun)
		time.Sleep(200 * time.Millisecond) // a disk that is slow
		over.Store(true)
		return nil
	}
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := admin.Listen(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, answered := make(chan error, 1), make(chan error, 1)
	go func() { done <- d.Serve(ctx, l) }()
	go func() {
		answered <- client.New(path).Call(t.Context(), "queue.retry", client.Request{ID: string(id)}, nil)
	}()
	<-begun
	cancel()
	if err := <-done; err != nil || !over.Load() {
		t.Errorf("it stopped in the middle: %v", err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the caller is told %v", err)
	}
}
