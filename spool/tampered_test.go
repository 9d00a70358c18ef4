package spool_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
	"sekisho/policy"
	"sekisho/spool"
)

func TestDamagedSmallMailIsSetAside(t *testing.T) {
	for name, query := range map[string]string{
		"cut short": "UPDATE small SET bytes = substr(bytes, 1, length(bytes) - 1)",
		"emptied":   "UPDATE small SET bytes = x''",
		"replaced":  "UPDATE small SET bytes = CAST('sekiblb1 and plain text of any kind' AS BLOB)",
	} {
		s := newSite(t)
		s.Inline = spool.MaxInline
		e := mustAccept(t, s, []byte("content"), "town")[0]
		db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "sekisho.db")+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
		// The first reader after the acceptance has it from memory.
		var got bytes.Buffer
		if err := s.CopyChecked(t.Context(), e, &got); err != nil || got.String() != "content" {
			t.Errorf("%s: at first %q, %v", name, got.String(), err)
		}
		got.Reset()
		if err := s.CopyChecked(t.Context(), e, &got); !errors.Is(err, blob.ErrDamaged) || got.Len() != 0 {
			t.Errorf("%s: %d bytes, %v; want ErrDamaged", name, got.Len(), err)
		}
		if !strings.Contains(s.log.String(), string(e.Original.ID)) {
			t.Errorf("%s: no alarm", name)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: then got %v, want ErrNotFound", name, err)
		}
	}
}

// TestChangedEnvelopeIsTampered changes what the journal hands out: whatever
// row seals say, the intake seal stands alone.
func TestChangedEnvelopeIsTampered(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		e := mustAccept(t, s, []byte("content"), "town", "village")[0]
		for name, change := range map[string]func(*envelope.Envelope){
			"tenant":           func(v *envelope.Envelope) { v.Tenant = "village" },
			"id":               func(v *envelope.Envelope) { v.ID = envelope.NewID(time.Now()) },
			"profile":          func(v *envelope.Envelope) { v.Profile = "lenient" },
			"zone":             func(v *envelope.Envelope) { v.Zone = envelope.LGWAN },
			"treatment":        func(v *envelope.Envelope) { v.Treatment = envelope.Pass },
			"ours":             func(v *envelope.Envelope) { v.Treatment = envelope.Ours },
			"sender":           func(v *envelope.Envelope) { v.From = envelope.Address{} },
			"recipient":        func(v *envelope.Envelope) { v.To[0].Local = "other" },
			"recipient more":   func(v *envelope.Envelope) { v.To = append(v.To, v.From) },
			"recipient fewer":  func(v *envelope.Envelope) { v.To = v.To[:1] },
			"digest":           func(v *envelope.Envelope) { v.Digest[0] ^= 1 },
			"tls":              func(v *envelope.Envelope) { v.RequireTLS = true },
			"addresses joined": func(v *envelope.Envelope) { v.To[0].Local, v.To[0].Domain = "", v.To[0].String() },
		} {
			c := e
			c.Envelope.To = slices.Clone(e.Envelope.To)
			change(&c.Envelope)
			if err := s.CheckIntake(c); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: got %v, want ErrTampered", name, err)
			}
			if _, err := s.SpawnPart(c, envelope.NewID(time.Now()), []string{"2"}); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: a part was spawned: %v", name, err)
			}
			if _, err := s.SpawnRelease(c, envelope.NewID(time.Now()), nil, policy.Release{}); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: a release was spawned: %v", name, err)
			}
		}
	})
}

func TestAnotherMessagesBytesAreTampered(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		a := mustAccept(t, s, []byte("one message"), "town")[0]
		b := mustAccept(t, s, []byte("two message"), "town")[0]
		v := mustAccept(t, s, []byte("six message"), "village")[0]
		for name, ref := range map[string]blob.Ref{
			"another message of the tenant": b.Original,
			"another tenant's message":      v.Original,
			"another blob under its key":    {ID: b.Original.ID, Size: a.Original.Size, Wrapped: a.Original.Wrapped},
			"its blob under another key":    {ID: a.Original.ID, Size: a.Original.Size, Wrapped: b.Original.Wrapped},
			"no key":                        {ID: a.Original.ID, Size: a.Original.Size},
			"no blob":                       {},
		} {
			c := a
			c.Original = ref
			if err := s.CopyChecked(t.Context(), c, io.Discard); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%s: got %v, want ErrTampered", name, err)
			}
		}
		// None of this is the blobs' fault: they stay in their places.
		for _, e := range []spool.Entry{a, b, v} {
			if err := s.CopyChecked(t.Context(), e, io.Discard); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
	})
}

func TestDamagedBlobIsMovedAside(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		name string
		edit func([]byte) []byte
	}{
		{"found on opening", func(b []byte) []byte { return b[:len(b)-1] }},
		{"found while reading", func(b []byte) []byte { b[100] ^= 1; return b }},
	} {
		e := mustAccept(t, s, blobtest.Bytes(1, 200000), "town")[0]
		path := blobFiles(t, s)[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.edit(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", c.name, err)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "damaged", string(e.Original.ID))); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !strings.Contains(s.log.String(), string(e.Original.ID)) {
			t.Errorf("%s: no alarm", c.name)
		}
		if err := s.CopyChecked(t.Context(), e, io.Discard); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: then got %v, want ErrNotFound", c.name, err)
		}
	}
}

func TestDerivedEntriesHaveSealsOfTheirOwn(t *testing.T) {
	bothWays(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		parent := mustAccept(t, s, []byte("content"), "town")[0]
		part, err := s.SpawnPart(parent, envelope.NewID(time.Now()), []string{"2", "3"})
		if err != nil {
			t.Fatal(err)
		}
		if part.State != spool.Held || part.Parent != parent.Envelope.ID || !slices.Equal(part.Part, []string{"2", "3"}) || part.Original.ID != parent.Original.ID {
			t.Errorf("part %+v", part)
		}
		one := parent.Envelope.To[1:]
		rel, err := s.SpawnRelease(part, envelope.NewID(time.Now()), []string{"3"}, policy.Release{By: "officer", To: one})
		if err != nil {
			t.Fatal(err)
		}
		if rel.State != spool.Received || rel.Release.By != "officer" || !slices.Equal(rel.Pending, one) || !slices.Equal(rel.Part, []string{"3"}) || !slices.Equal(rel.Envelope.To, one) {
			t.Errorf("release %+v", rel)
		}
		whole, err := s.SpawnRelease(part, envelope.NewID(time.Now()), nil, policy.Release{})
		if err != nil || !slices.Equal(whole.Part, part.Part) {
			t.Errorf("release of all: %+v, %v", whole, err)
		}
		ours, err := s.NewOurs(ctx, spool.OurMail{Tenant: "town", To: one, Parent: parent.Envelope.ID, Write: func(w io.Writer) error {
			_, err := io.WriteString(w, "Subject: notice\r\n\r\ntext\r\n")
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		if ours.Envelope.Treatment != envelope.Ours || ours.State != spool.Received || !ours.Envelope.From.IsNull() || ours.Parent != parent.Envelope.ID {
			t.Errorf("ours %+v", ours)
		}
		derived := []spool.Entry{part, rel, ours}
		for i, e := range derived {
			if err := s.CheckIntake(e); err != nil {
				t.Errorf("%d: intake: %v", i, err)
			}
			if err := s.CopyChecked(ctx, e, io.Discard); err != nil {
				t.Errorf("%d: copy: %v", i, err)
			}
			c := e
			c.Intake = parent.Intake
			if err := s.CheckIntake(c); !errors.Is(err, spool.ErrTampered) {
				t.Errorf("%d: the parent's seal fits", i)
			}
		}
		c, err := s.Claim(ctx, spool.Received, time.Now(), 1)
		if err != nil || len(c) != 1 {
			t.Fatal(err)
		}
		if err := s.Settle(ctx, c[0], spool.Change{To: spool.Held, Spawn: derived}); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func() error{
			"a part without paths": func() error { _, err := s.SpawnPart(parent, envelope.NewID(time.Now()), nil); return err },
			"the parent's id":      func() error { _, err := s.SpawnPart(parent, parent.Envelope.ID, []string{"2"}); return err },
			"no id":                func() error { _, err := s.SpawnPart(parent, "", []string{"2"}); return err },
			"nobody to write to": func() error {
				_, err := s.NewOurs(ctx, spool.OurMail{Tenant: "town", Write: func(io.Writer) error { return nil }})
				return err
			},
		} {
			if f() == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
