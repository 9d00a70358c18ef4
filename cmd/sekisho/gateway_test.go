package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/admin/client"
)

// answering is a gateway that gives prepared answers. The real one is driven
// by the scripts of sekishod; here it is about what the administrator reads.
type answering struct {
	t      *testing.T
	socket string

	mu    sync.Mutex
	acts  map[string]func(client.Request) (any, *client.Failure)
	asked []client.Request
}

func gateway(t *testing.T) *answering {
	t.Helper()
	g := &answering{t: t, socket: filepath.Join(t.TempDir(), "admin.sock"), acts: map[string]func(client.Request) (any, *client.Failure){}}
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

func (g *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, ok := g.acts[strings.TrimPrefix(r.URL.Path, "/v1/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	var q client.Request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		g.t.Error(err)
	}
	g.asked = append(g.asked, q)
	out, failure := f(q)
	if failure != nil {
		w.WriteHeader(http.StatusConflict)
		out = failure
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		g.t.Error(err)
	}
}

// says makes an act always answer the same.
func (g *answering) says(act string, out any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acts[act] = func(client.Request) (any, *client.Failure) { return out, nil }
}

func (g *answering) fails(act, code, text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acts[act] = func(client.Request) (any, *client.Failure) { return nil, &client.Failure{Code: code, Error: text} }
}

func (g *answering) ask(ja bool, args ...string) answered {
	return inside(ja, append([]string{"--socket", g.socket}, args...)...)
}

func TestAnswersBecomeStatusesAndWords(t *testing.T) {
	const id = "01j8z0000000000000000000"
	g := gateway(t)
	for _, c := range []struct {
		act, code, text string
		args            []string
		status          int
		en, ja          string
	}{
		{"quarantine.show", "not-found", "get " + id + ": not found", []string{"quarantine", "show", id}, exitNotFound, id + ": not found", id + " は見つかりません"},
		{"quarantine.show", "not-found", id + " is not held any more: not found", []string{"quarantine", "show", id}, exitNotFound, id + " is not held any more", id + " はすでに保留中ではありません"},
		{"quarantine.release", "not-found", `"x" is no id: not found`, []string{"quarantine", "release", "x", "--reason", "r"}, exitNotFound, `"x" is no id`, "x は受付番号ではありません"},
		{"quarantine.release", "usage", "take " + id + ": take " + id + ": not in that state", []string{"quarantine", "release", id, "--reason", "r"}, exitUsage, id + " is not in that state", id + " はその状態にありません"},
		{"quarantine.release", "not-allowed", "a@b: not a recipient of this mail", []string{"quarantine", "release", id, "--reason", "r", "--to", "a@b"}, exitNotAllowed, "a@b: not a recipient of this mail", "a@b はこのメールの宛先ではありません"},
		{"quarantine.release", "not-allowed", "tampered entries cannot be released, only deleted", []string{"quarantine", "release", id, "--reason", "r"}, exitNotAllowed, "tampered entries cannot be released", "改ざんされたものは解放できません"},
		{"quarantine.delete", "not-found", "get " + id + ": not found", []string{"quarantine", "delete", id, "--reason", "r"}, exitNotFound, id + ": not found", id + " は見つかりません"},
		{"quarantine.list", "not-allowed", "uid 7 has no account; somebody who has one can add it with: sekisho account add NAME --uid 7: not allowed", []string{"quarantine", "list"}, exitNotAllowed,
			"uid 7 has no account\n  somebody who has one can add it: sekisho account add NAME --uid 7", "uid 7 にはアカウントがありません\n  アカウントのある人が"},
		{"queue.retry", "not-found", "get " + id + ": not found", []string{"queue", "retry", id}, exitNotFound, id + ": not found", id + " は見つかりません"},
		{"queue.list", "failed", "list queue: something broke", []string{"queue", "list"}, exitFailed, "the gateway failed: list queue: something broke\n  the log", "ゲートウェイで失敗しました: list queue: something broke\n  "},
		{"route.test", "not-found", "a@other.example from zone internet would be refused: the domain is no tenant's, and there is no relay: not found", []string{"route", "test", "a@other.example"}, exitNotFound, "a@other.example from zone internet would be refused", "a@other.example はインターネットからは受け付けません"},
		{"route.test", "usage", `zone "x" is none of internet, internet-segment, lgwan: wrong usage`, []string{"route", "test", "a@b", "--zone", "x"}, exitUsage, `zone "x" is none of`, "区域 x はありません"},
		{"route.test", "usage", `address "x" has no local part or no domain: wrong usage`, []string{"route", "test", "x"}, exitUsage, `address "x" has no local part`, "アドレス x に @"},
		{"account.add", "usage", "add account: add account n: not in that state: exists already", []string{"account", "add", "n", "--uid", "5"}, exitUsage, "there is an account n or of that uid already", "名前 n またはその uid のアカウントがすでにあります"},
		{"account.remove", "not-allowed", "nobody removes the account he is using: not allowed", []string{"account", "remove", "n"}, exitNotAllowed, "nobody removes the account he is using", "使用中の自分のアカウントは取り除けません"},
		{"account.remove", "not-found", "remove account: remove account n: not found", []string{"account", "remove", "n"}, exitNotFound, "there is no account n", "アカウント n はありません"},
		{"account.list", "failed", "accounts: \x1b[2Jdisk", []string{"account", "list"}, exitFailed, `the gateway failed: accounts: \u{1b}[2Jdisk`, `ゲートウェイで失敗しました: accounts: \u{1b}[2Jdisk`},
		{"audit.list", "not-found", "of a kind nobody knows", []string{"audit", "list"}, exitNotFound, "of a kind nobody knows", "見つかりません: of a kind nobody knows"},
		{"audit.verify", "failed", "verify audit: gone", []string{"audit", "verify"}, exitFailed, "the gateway failed: verify audit: gone", "ゲートウェイで失敗しました"},
		{"doctor", "not-allowed", "uid 7 has no account; somebody who has one can add it with: sekisho account add NAME --uid 7: not allowed", []string{"doctor"}, exitNotAllowed, "uid 7 has no account", "uid 7 にはアカウントがありません"},
	} {
		g.fails(c.act, c.code, c.text)
		for _, ja := range []bool{false, true} {
			want := c.en
			if ja {
				want = c.ja
			}
			a := g.ask(ja, c.args...)
			if a.status != c.status || !strings.HasPrefix(a.err, "sekisho: "+want) {
				t.Errorf("%q: status %d, said %q; want %d, %q", c.args, a.status, a.err, c.status, want)
			}
			if c.act != "doctor" && a.out != "" {
				t.Errorf("%q: printed %q", c.args, a.out)
			}
		}
	}
	a := inside(false, "--socket", filepath.Join(t.TempDir(), "none"), "queue", "list")
	if a.status != exitFailed || !strings.HasPrefix(a.err, "sekisho: the gateway does not answer: there is no socket ") {
		t.Errorf("no gateway: status %d, %q", a.status, a.err)
	}
	t.Setenv("SEKISHO_SOCKET", g.socket)
	if a := inside(false, "audit", "list"); a.status != exitNotFound {
		t.Errorf("SEKISHO_SOCKET is not used: status %d, %q", a.status, a.err)
	}
	if a := inside(false, "--socket", "/nowhere", "audit", "list"); a.status != exitFailed || !strings.Contains(a.err, "/nowhere") {
		t.Errorf("--socket does not win: status %d, %q", a.status, a.err)
	}
}

func heldSample() client.Held {
	return client.Held{ID: "0h", Time: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Tenant: "town", From: "a\x1b@x.example", To: []string{"b@town.example.lg.jp"},
		Subject: "至急\x1b]0;x\x07\u202e", Class: "executable", Rule: "hold_message", Reasons: []string{"1.2: executable"}, Parts: []string{}, Size: 1234,
		Expires: time.Date(2026, 12, 8, 9, 0, 0, 0, time.UTC)}
}

func TestTheQuarantineIsListedAndShown(t *testing.T) {
	g := gateway(t)
	h := heldSample()
	part := h
	part.ID, part.Parts, part.Class = "0p", []string{"\x1b[31m見積.zip"}, "encrypted"
	g.says("quarantine.list", []client.Held{h, part})
	g.says("quarantine.show", client.Shown{Held: h, Zone: "internet", Peer: "192.0.2.1", Helo: "x\x1b", SHA256: "ab", Parent: "0q",
		Header: []client.Field{{Name: "Subject", Value: "至急\x1b"}},
		Detail: []client.Part{{Path: "1.2", Name: "e\u202exe", Kind: "executable", Outcome: "refused", Fate: "kept back", SHA256: "cd", Error: "withheld by the profile",
			Findings: []client.Finding{{Rule: "ooxml.vba", Where: "word/x\x1b", Action: "removed", Detail: "d"}, {Rule: "of.tomorrow", Action: "vanished"}}}},
		Text: "本文\x1b[2J\n二行目"})
	for _, c := range []struct {
		ja   bool
		args []string
		want []string
	}{
		{false, []string{"quarantine", "list"}, []string{"0h  2026-11-24", `subject: 至急\u{1b}]0;x\u{7}\u{202e}`, "why: it contains a file that can start a program  [executable]", "what: the whole message", `what: \u{1b}[31m見積.zip`}},
		{true, []string{"quarantine", "list"}, []string{"件名: 至急", "理由: プログラムを実行できるファイルが含まれる  [executable]", "対象: メール全体", "理由: パスワードまたは暗号化"}},
		{false, []string{"quarantine", "show", "0h"}, []string{"id: 0h\n", "class: executable  (it contains a file that can start a program)\n", "rule: hold_message  (by hold_message the whole message waits)\n",
			"reason: 1.2: executable  (1.2: program)\n", "taken from: 0q\n", `VBA macros: removed  word/x\u{1b}  d  [ooxml.vba]`, "finding: vanished  [of.tomorrow]", "1.2  program  refused  kept back  e\\u{202e}xe", `本文\u{1b}[2J` + "\n二行目\n"}},
		{true, []string{"quarantine", "show", "0h"}, []string{"受付番号: 0h\n", "分類: executable  (プログラムを実行できるファイルが含まれる)\n", "規則: hold_message  (設定 hold_message", "理由: 1.2: executable  (1.2: 実行形式ファイル)\n", "区域: internet  (インターネット)\n",
			"VBA マクロ: 削除", "不可  添付保留", "設定により配送しません"}},
	} {
		a := g.ask(c.ja, c.args...)
		if a.status != exitDone || a.err != "" {
			t.Errorf("%q: status %d, said %q", c.args, a.status, a.err)
		}
		for _, w := range c.want {
			if !strings.Contains(a.out, w) {
				t.Errorf("%q: does not say %q:\n%s", c.args, w, a.out)
			}
		}
	}
	for _, args := range [][]string{{"quarantine", "list"}, {"quarantine", "list", "--json"}, {"quarantine", "show", "0h"}, {"quarantine", "show", "0h", "--json"}} {
		for _, l := range strings.Split(g.ask(false, args...).out, "\n") {
			if strings.ContainsFunc(l, obeyed) {
				t.Errorf("%q: printed %q", args, l)
			}
		}
	}
	var keys []string
	o := objects(t, g.ask(false, "quarantine", "list", "--json").out)[0]
	for k := range o {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if want := []string{"class", "expires", "from", "id", "parts", "reasons", "rule", "size", "subject", "tenant", "time", "to"}; !slices.Equal(keys, want) {
		t.Errorf("the object has %q, contract.md says %q", keys, want)
	}
	if o["subject"] != h.Subject {
		t.Errorf("the subject is %q", o["subject"])
	}
	g.says("quarantine.list", []client.Held{})
	if a := g.ask(true, "quarantine", "list"); a.status != exitDone || a.out != "" || a.err != "sekisho: 保留中のものはありません\n" {
		t.Errorf("empty: %d %q %q", a.status, a.out, a.err)
	}
	if a := g.ask(true, "quarantine", "list", "--json"); a.out != "" || a.err != "" {
		t.Errorf("empty: %q %q", a.out, a.err)
	}
}

func TestAReleaseIsFollowedToItsEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		states []client.Released // after the first answer
		status int
		en, ja string // result, or message when it failed
	}{
		{"delivered", []client.Released{{State: "examining"}, {State: "queued"}, {State: "delivered"}}, exitDone, "0n  delivered\n", "0n  配送しました\n"},
		{"held again", []client.Released{{State: "held", Reasons: []string{"1.2: zip: malformed"}}}, exitRefused, "0n  held again: 1.2: ZIP archive: malformed\n", "0n  再び保留になりました: 1.2: ZIP 書庫: 壊れているか、正しい形式ではありません\n"},
		{"failed", []client.Released{{State: "failed", Reasons: []string{"550 no\x1b"}}}, exitFailed, `sekisho: 0n could not be delivered: 550 no\u{1b}` + "\n", `sekisho: 0n を配送できませんでした: 550 no\u{1b}` + "\n"},
		{"a state of tomorrow", []client.Released{{State: "floating"}}, exitFailed, "sekisho: 0n could not be delivered: \n", "sekisho: 0n を配送できませんでした: \n"},
	} {
		for _, ja := range []bool{false, true} {
			g := gateway(t)
			g.says("quarantine.release", client.Released{ID: "0n", State: "examining", Reasons: []string{"old"}})
			left := c.states
			g.acts["quarantine.status"] = func(q client.Request) (any, *client.Failure) {
				if q.ID != "0n" {
					t.Errorf("asked for %q", q.ID)
				}
				r := left[0]
				r.ID = q.ID
				if len(left) > 1 {
					left = left[1:]
				}
				return r, nil
			}
			a := g.ask(ja, "quarantine", "release", "0h", "--reason", "電話で確認", "--to", "a@b", "--to", `"c,d"@b`)
			want := c.en
			if ja {
				want = c.ja
			}
			if got := a.out + a.err; a.status != c.status || got != want {
				t.Errorf("%s: status %d, %q; want %d, %q", c.name, a.status, got, c.status, want)
			}
			if q := g.asked[0]; q.ID != "0h" || q.Reason != "電話で確認" || !slices.Equal(q.To, []string{"a@b", `"c,d"@b`}) {
				t.Errorf("%s: asked %+v", c.name, q)
			}
		}
	}
	g := gateway(t)
	g.says("quarantine.release", client.Released{ID: "0n", State: "examining"})
	g.says("quarantine.status", client.Released{ID: "0n", State: "held", Reasons: []string{"x"}})
	a := g.ask(false, "quarantine", "release", "0h", "--reason", "r", "--json")
	if o := objects(t, a.out)[0]; a.status != exitRefused || o["state"] != "held" || o["id"] != "0n" || a.err != "" {
		t.Errorf("--json: %d %q %q", a.status, a.out, a.err)
	}
	g.says("quarantine.status", client.Released{ID: "0n", State: "examining"})
	if a := g.ask(false, "quarantine", "release", "0h", "--reason", "r", "--wait", "10ms"); a.status != exitFailed || !strings.Contains(a.err, "still being examined") {
		t.Errorf("--wait: %d %q %q", a.status, a.out, a.err)
	}
}

func TestInterruptingAReleaseSaysThatItGoesOn(t *testing.T) {
	g := gateway(t)
	ctx, cancel := context.WithCancel(t.Context())
	g.says("quarantine.release", client.Released{ID: "0n", State: "examining"})
	g.acts["quarantine.status"] = func(client.Request) (any, *client.Failure) {
		cancel()
		return client.Released{ID: "0n", State: "examining"}, nil
	}
	var out, stderr bytes.Buffer
	status := run(ctx, &ui{out: &out, err: &stderr}, []string{"--socket", g.socket, "quarantine", "release", "0h", "--reason", "r"})
	if status != exitFailed || out.Len() > 0 || !strings.HasPrefix(stderr.String(), "sekisho: no longer waiting; the release goes on: 0n\n  sekisho queue list") {
		t.Errorf("status %d, %q, %q", status, out.String(), stderr.String())
	}
}

func TestTheWholeQueueIsReadOverPages(t *testing.T) {
	g := gateway(t)
	// Two states of different length: an answer has a page of each.
	states := map[string][]client.Queued{}
	for i := range 3*pageSize + 7 {
		state := "Received"
		if i%4 == 0 {
			state = "Queued"
		}
		states[state] = append(states[state], client.Queued{ID: fmt.Sprintf("%06d", i), State: state, Time: time.Unix(int64(i), 0), Hop: "town-mail", To: []string{}})
	}
	g.acts["queue.list"] = func(q client.Request) (any, *client.Failure) {
		out := []client.Queued{}
		for _, s := range []string{"Received", "Queued"} {
			n := 0
			for _, e := range states[s] {
				if e.ID > q.After && n < q.Limit {
					out = append(out, e)
					n++
				}
			}
		}
		return out, nil
	}
	a := g.ask(false, "queue", "list", "--json")
	os := objects(t, a.out)
	if a.status != exitDone || len(os) != 3*pageSize+7 {
		t.Fatalf("status %d, %d entries", a.status, len(os))
	}
	for i, o := range os {
		if o["id"] != fmt.Sprintf("%06d", i) {
			t.Fatalf("entry %d is %v", i, o["id"])
		}
	}
	states = map[string][]client.Queued{"Queued": {{ID: "0q", State: "Queued", Hop: "lgwan-relay", Attempts: 2, Err: "connect: \x1brefused", From: "a@b", To: []string{"c@d"}}}}
	if a := g.ask(true, "queue", "list"); !strings.Contains(a.out, "配送待ち") || !strings.Contains(a.out, `試行: 2    次回: -    接続できません: \u{1b}refused`) {
		t.Errorf("printed %q", a.out)
	}
}

func TestABrokenAuditChainIsAFailure(t *testing.T) {
	g := gateway(t)
	g.says("audit.verify", client.Verified{Records: 9, Broken: 4})
	if a := g.ask(false, "audit", "verify"); a.status != exitFailed || a.out != "" || a.err != "sekisho: the chain of the audit is broken at record 4\n" {
		t.Errorf("%d %q %q", a.status, a.out, a.err)
	}
	a := g.ask(true, "audit", "verify", "--json")
	if o := objects(t, a.out)[0]; a.status != exitFailed || o["intact"] != false || a.err != "sekisho: 監査の鎖は 4 番の記録で切れています\n" {
		t.Errorf("%d %q %q", a.status, a.out, a.err)
	}
	g.says("audit.verify", client.Verified{Records: 9, Intact: true, Last: "ff"})
	if a := g.ask(false, "audit", "verify"); a.status != exitDone || a.out != "9 records, the chain is whole; last hash: ff\n" {
		t.Errorf("%d %q %q", a.status, a.out, a.err)
	}
	g.says("audit.list", []client.Record{{Seq: 1, Actor: "y\x1b", Act: "released", ID: "0h", Detail: "reason: \u202e"}, {Seq: 2, Act: "of-tomorrow"}})
	if a := g.ask(true, "audit", "list"); !strings.Contains(a.out, "解放") || !strings.Contains(a.out, "of-tomorrow") || strings.ContainsAny(a.out, "\x1b\u202e") {
		t.Errorf("printed %q", a.out)
	}
}

func TestRoutesAndAccountsAreShown(t *testing.T) {
	g := gateway(t)
	g.says("route.test", client.Route{Address: "a@x.lg.jp", Zone: "lgwan", Hop: "lgwan-relay", Network: "lgwan", Route: "lg.jp", Subdomains: true, Treatment: "pass"})
	if a := g.ask(true, "route", "test", "a@x.lg.jp"); a.status != exitDone || !strings.Contains(a.out, "a@x.lg.jp → lgwan-relay\n") || !strings.Contains(a.out, "経路: lg.jp とその下位") || !strings.Contains(a.out, "扱い: 検査済みとして") {
		t.Errorf("printed %q", a.out)
	}
	if a := g.ask(false, "route", "test", "a@x.lg.jp", "--json"); objects(t, a.out)[0]["hop"] != "lgwan-relay" {
		t.Errorf("printed %q", a.out)
	}
	g.says("account.list", []client.Account{{Name: "山田", UID: 7}})
	g.says("account.add", client.Account{Name: "山田", UID: 7})
	g.says("account.remove", client.Account{Name: "山田"})
	for _, args := range [][]string{{"account", "list"}, {"account", "add", "山田", "--uid", "7"}, {"account", "remove", "山田"}} {
		if a := g.ask(true, args...); a.status != exitDone || !strings.HasPrefix(a.out, "山田  ") {
			t.Errorf("%q: %d %q %q", args, a.status, a.out, a.err)
		}
		if a := g.ask(true, append(args, "--json")...); objects(t, a.out)[0]["name"] != "山田" {
			t.Errorf("%q: %q", args, a.out)
		}
	}
	if a := g.ask(false, "queue", "retry", "x"); a.status != exitFailed || !strings.Contains(a.err, "of another version") {
		t.Errorf("an act the gateway does not know: %d %q", a.status, a.err)
	}
}

func TestDoctorPutsTheGatewaysChecksBehindItsOwn(t *testing.T) {
	g := gateway(t)
	g.says("doctor", []client.Check{{Name: "disk", Status: "pass", Detail: "120 MiB and 80 % of the inodes are free"}, {Name: "user", Status: "warn", Detail: "sekishod runs as root"}, {Name: "store", Status: "odd", Detail: "x\x1b"}})
	a := g.ask(true, "doctor")
	for _, w := range []string{"合格    ディスク", "空き 120 MiB、inode の空き 80 %", "注意    実行ユーザー", "sekishod が root で動いています", "odd     保管庫", `x\u{1b}`} {
		if !strings.Contains(a.out, w) {
			t.Errorf("does not say %q:\n%s", w, a.out)
		}
	}
	if a.status != exitFailed {
		t.Errorf("a status that is none passed: %d", a.status)
	}
}
