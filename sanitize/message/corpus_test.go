package message_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealMailIsDelivered runs over the corpus of real mail beside the
// repository, sent as an SMTP client would send it. It asks for 95 % of the
// honest mails with their text, those with several From apart, and for a
// second treatment that changes nothing.
func TestRealMailIsDelivered(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "corpus", "MANIFEST.tsv"))
	if err != nil {
		t.Skip("no corpus of real mail beside the repository; set SEKISHO_SHARED to measure")
	}
	var honest, delivered, from int
	outcomes := map[string]int{}
	for ln := range strings.Lines(string(manifest)) {
		col := strings.Split(ln, "\t")
		if len(col) < 10 || !strings.HasPrefix(col[0], "eml/") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "corpus", col[0]))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(raw, []byte("From ")) {
			_, raw, _ = bytes.Cut(raw, []byte("\n"))
		}
		for _, end := range []string{"\r\n", "\r"} {
			raw = bytes.ReplaceAll(raw, []byte(end), []byte("\n"))
		}
		raw = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
		out, rep, err := treat(raw, options())
		group, outcome := "hostile", "delivered"
		if strings.Contains(col[9], "benign") {
			group = "honest"
			honest++
		}
		switch {
		case err == nil:
			again, _, err := treat(out, options())
			if err != nil || !copied(rep) && !bytes.Equal(out, again) {
				t.Errorf("%s: treated again it changes, %v", col[0], err)
			}
			if group == "honest" {
				delivered++
			}
		case len(rep.Holds) == 0:
			t.Errorf("%s: refused without a reason: %v", col[0], err)
		default:
			outcome = rep.Holds[0].Code
			if group == "honest" && strings.HasPrefix(outcome, "header.duplicate-from") || outcome == "header.from-in-two-domains" {
				from++
			}
		}
		outcomes[group+" "+outcome]++
	}
	t.Logf("%d of %d honest mails delivered, %d have several From; %v", delivered, honest, from, outcomes)
	if honest == 0 || delivered*100 < (honest-from)*95 {
		t.Errorf("%d of %d honest mails delivered (%d have several From)", delivered, honest, from)
	}
}
