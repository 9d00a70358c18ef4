package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/internal/corpus"
)

// Attempts to make the gateway fail open, on the real binaries: whatever is
// done to it, no untreated octet may reach the sink.

// Statuses of the command line, contract.md.
const (
	statusHeld       = 3
	statusNotAllowed = 5
)

// marker begins a file that must never arrive. It is a multiple of three
// octets long, so that its base64 is known.
const marker = "UNTREATED-MARKER!!"

func marked() corpus.Attachment {
	return corpus.Attachment{Name: "a.bin", Media: "application/octet-stream", Data: append([]byte(marker), 0, 1, 2, 255)}
}

// untreated fails the test when the sink saw as much as the beginning of it,
// in messages that were cut off as well.
func untreated(t *testing.T, k *sink) {
	t.Helper()
	for _, m := range k.all() {
		if bytes.Contains(m.Data, []byte(marker)) || bytes.Contains(m.Data, []byte(base64.StdEncoding.EncodeToString([]byte(marker)))) ||
			bytes.Contains(m.Data, []byte(corpus.Macro)) {
			t.Errorf("untreated octets reached the sink:\n%s", m.Data)
		}
	}
}

// liarSite is a site whose worker lies as the subject of the message tells it.
func liarSite(t *testing.T, more string) *site {
	t.Helper()
	bin, err := os.MkdirTemp("", "sekisho-liar-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	if err := os.Chmod(bin, 0o755); err != nil { // the worker runs as nobody
		t.Fatal(err)
	}
	for _, b := range []string{"sekisho", "sekishod"} {
		if err := os.Link(filepath.Join(binaries, b), filepath.Join(bin, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := build(filepath.Join(bin, "sekisho-sanitizer"), "sekisho/sanitize/worker/testdata/liar"); err != nil {
		t.Fatal(err)
	}
	return newSite(t, bin, more)
}

// TestCapturedWorkerPassesNothing: a lie told once costs the attachment, told
// twice the mail waits. What each of them does is in the liar's source.
func TestCapturedWorkerPassesNothing(t *testing.T) {
	t.Parallel()
	s := liarSite(t, "")
	s.mustStart(t)
	once := []string{"crash", "forbidden", "silent", "garbage", "digest", "more", "flip", "clean", "outcome", "fields", "no-header", "verify-crash", "verify-clean"}
	twice := []string{"crash-always", "digest-always", "flip-always", "clean-always", "fields-always", "verify-silent-always"}
	ids := map[string]string{}
	for _, l := range append(once, twice...) {
		ids[l] = s.send(t, corpus.Mail{Subject: "lie=" + l, Text: "body text", Files: []corpus.Attachment{marked()}})
	}
	ids["clean exe"] = s.send(t, corpus.Mail{Subject: "lie=clean exe", Text: "body text", Files: []corpus.Attachment{{Name: "a.exe", Media: "application/octet-stream", Data: corpus.Program()}}})
	if err := s.drain(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range s.sinks["TOWN"].wait(len(once), 30*time.Second) {
		for _, l := range once {
			if bytes.Contains(m.Data, []byte("X-Sekisho-Id: "+ids[l]+"\r\n")) {
				got[l] = bytes.Contains(m.Data, []byte("body text")) && bytes.Contains(m.Data, []byte("X-Sekisho-Result: disarmed"))
			}
		}
	}
	untreated(t, s.sinks["TOWN"])
	whole := s.heldByID(t)
	parts := map[string]heldEntry{}
	for _, e := range whole {
		if len(e.Parts) > 0 {
			parts[e.Subject] = e
		}
	}
	for _, l := range once {
		if !got[l] {
			t.Errorf("%s: the body did not arrive with its notice", l)
		}
		if p, ok := parts["lie="+l]; !ok || !slices.Equal(p.Parts, []string{"a.bin"}) {
			t.Errorf("%s: held part %+v", l, p)
		}
	}
	for _, l := range twice {
		if e := whole[ids[l]]; e.Class != "failed" {
			t.Errorf("%s: held as %+v", l, e)
		}
	}
	if e := whole[ids["clean exe"]]; e.Class != "executable" {
		t.Errorf("a program called clean is held as %+v", e)
	}
	if n := len(s.sinks["TOWN"].all()); n != len(once) {
		t.Errorf("%d messages arrived, want %d", n, len(once))
	}
}

// TestReleasedPartTravelsInANewMail: what a crash kept back is treated once the
// worker is well again, and arrives by itself, threaded to the mail it is from.
func TestReleasedPartTravelsInANewMail(t *testing.T) {
	t.Parallel()
	s := liarSite(t, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	s.send(t, corpus.Mail{Subject: "lie=crash", Text: "body text", Files: []corpus.Attachment{
		{Name: "申請書.docm", Media: "application/octet-stream", Data: corpus.Word("paragraph", true)},
		{Name: "議案.xdw", Media: "application/octet-stream", Data: corpus.DocuWorks()},
	}})
	first := town.wait(1, 30*time.Second)
	if len(first) != 1 || bytes.Contains(first[0].Data, []byte("filename")) {
		t.Fatalf("%d mails arrived, want one without a file", len(first))
	}
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.bin = binaries
	s.mustStart(t)
	var part heldEntry
	for _, e := range s.heldByID(t) {
		part = e
	}
	if !slices.Equal(part.Parts, []string{"申請書.docm", "議案.xdw"}) {
		t.Fatalf("held: %+v", part)
	}
	out, complaint, code := s.run("quarantine", "release", part.ID, "--reason", "the worker is well again")
	if code != 0 {
		t.Fatalf("release: status %d\n%s%s", code, out, complaint)
	}
	got := town.wait(2, 30*time.Second)
	if len(got) != 2 {
		t.Fatalf("%d mails arrived, want two", len(got))
	}
	old, err := mail.ReadMessage(bytes.NewReader(first[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(got[1].Data))
	if err != nil {
		t.Fatal(err)
	}
	id := old.Header.Get("Message-ID")
	if id == "" || m.Header.Get("Message-ID") == id || m.Header.Get("Message-ID") == "" || m.Header.Get("In-Reply-To") != id || !strings.Contains(m.Header.Get("References"), id) {
		t.Errorf("the first is %s, the second %s in reply to %s, references %s", id, m.Header.Get("Message-ID"), m.Header.Get("In-Reply-To"), m.Header.Get("References"))
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(body, []byte("wordprocessingml.document")) || bytes.Contains(body, []byte("body text")) || bytes.Contains(body, []byte("議案.xdw")) {
		t.Errorf("the second mail:\n%s", body)
	}
	// What can still not be treated stays.
	left := s.heldByID(t)
	if len(left) != 1 {
		t.Errorf("held afterwards: %+v", left)
	}
	for _, e := range left {
		if !slices.Equal(e.Parts, []string{"議案.xdw"}) {
			t.Errorf("held afterwards: %+v", e)
		}
	}
	untreated(t, town)
}

// TestReplacedSealKeyStopsTheStart: seals of another key prove nothing, so the
// gateway does not run on them; with its own key back it goes on.
func TestReplacedSealKeyStopsTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, binaries, "")
	s.mustStart(t)
	town := s.sinks["TOWN"]
	town.down()
	id := s.send(t, corpus.Mail{Subject: "waits", Text: "body text"})
	waitFor(t, "deferred", func() bool { return len(s.log.events("deferred")) > 0 })
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := town.up(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.data(), "seal.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(good)
	forged[len(forged)/2] ^= 1
	for name, change := range map[string]func() error{
		"another key":    func() error { return os.WriteFile(file, forged, 0o600) },
		"no key":         func() error { return os.Remove(file) },
		"half a key":     func() error { return os.WriteFile(file, good[:len(good)/2], 0o600) },
		"an empty file":  func() error { return os.WriteFile(file, nil, 0o600) },
		"a key and more": func() error { return os.WriteFile(file, append(bytes.Clone(good), 'x'), 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(s.bin, "sekishod"), "--config", s.config())
		timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		timer.Stop()
		if cmd.ProcessState.ExitCode() != exitFailed {
			t.Errorf("%s: ended with %v\n%s", name, err, out)
		}
		if !strings.Contains(string(out), "seal") {
			t.Errorf("%s: the complaint names no seal key:\n%s", name, out)
		}
	}
	if n := len(town.all()); n != 0 {
		t.Errorf("%d messages reached the sink", n)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	s.retry(t, id)
	if got := town.wait(1, 30*time.Second); len(got) != 1 {
		t.Error("with its own key back the gateway does not deliver")
	}
}
