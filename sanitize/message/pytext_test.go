package message_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// explained are the texts of the corpus that are not found again word for word
// after treatment, and why. Every other text must be.
var explained = map[string]string{
	"enmime__missing-content-type2.raw.eml 2":              "the other alternative is chosen: it says more",
	"enmime__simple_dsn.raw.eml 3.1":                       "a forwarded message without a header is kept back",
	"flanker__quoted-printable.eml 1":                      "the HTML of the alternative says more",
	"kumomta__2.eml 3.1":                                   "a forwarded message without a header is kept back",
	"mailcore2__135.eml 1":                                 "Sun's mailtool: a type of one word that is none, so a file",
	"mailcore2__70.eml 4.2.1":                              "the other alternative is chosen",
	"mailcore2__gh-965-utf8.eml 1":                         "the HTML says more, and the text is encoded twice",
	"mailshield__sanitize-test.eml 1":                      "the HTML of the alternative says more",
	"mime4j__bad-newlines-multiple-parts-base64.msg.eml 1": "an encoded message/rfc822: Python does not decode it, we do",
	"mime4j__base64encoded-rfc822message-nested.msg.eml 1": "an encoded message/rfc822: Python does not decode it, we do",
	"mime4j__multi-2gifs-base64.msg.eml 1":                 "an encoded message/rfc822: Python does not decode it, we do",
	"mime4j__uu-zeegee.msg.eml 1":                          "uuencoded files are taken out of the text",
	"msgreader__TestWithAttachmentsAndInlines.eml 6.1":     "an encoded message/rfc822: Python does not decode it, we do",
	"msgreader__TestWithAttachmentsAndInlines.eml 7.1":     "an encoded message/rfc822: Python does not decode it, we do",
	"phpmimemailparser__m0025.eml 1.1.1":                   "the HTML of the alternative says more",
	"sisimai__lhost-mailru-07.eml 1":                       "base64 that opens like HTML is cut out of a quoted mail",
	"sisimai__rhost-googleapps-01.eml 2.3":                 "a part of a returned mail, which is a message of its own",
	"sisimai__rhost-googleapps-01.eml 2.5":                 "a part of a returned mail, which is a message of its own",
	"sisimai__rhost-googleapps-01~b31d3d.eml 2.3":          "a part of a returned mail, which is a message of its own",
	"sisimai__rhost-googleapps-01~b31d3d.eml 2.5":          "a part of a returned mail, which is a message of its own",
	"spamassassin__MIMEnowsp_05.eml 1":                     "the HTML of the alternative says more",
	"spamassassin__badctype1.eml 1":                        "a type of two words that is none, so a file",
	"stalwart__000.eml 2":                                  "the other alternative is chosen: it says more",
	"stalwart__006~5ff3bc.eml 1.1.2":                       "the other alternative is chosen",
	"stalwart__022.eml 2.1":                                "a forwarded message without a header is kept back",
	"stalwartserver__attachment_b64.eml 2.1":               "an encoded message/rfc822: Python does not decode it, we do",
	"strelka__test_email_link_stress.eml 1":                "the HTML of the alternative says more",
	"mimekit__thunderbird-signed.txt.eml 1.1":              "format=flowed: Python does not join the lines",
	"notmuch__1382298805.004551_2,.eml 1":                  "format=flowed: Python does not join the lines",
	"webklex__issue-348.eml 1":                             "format=flowed: Python does not take off the stuffed space",
}

// TestTextsArePythonsTexts treats the mails of the corpus that are flagged
// japanese or benign and has Python's email package read both sides: every
// text/plain part that it can decode must arrive as it was.
func TestTextsArePythonsTexts(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "corpus", "MANIFEST.tsv"))
	if err != nil {
		t.Skip("no corpus of real mail beside the repository; set SEKISHO_SHARED to measure")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	tmp := t.TempDir()
	var list bytes.Buffer
	mails := 0
	for ln := range strings.Lines(string(manifest)) {
		col := strings.Split(ln, "\t")
		if len(col) < 10 || !strings.HasPrefix(col[0], "eml/") || !strings.Contains(col[9], "benign") && !strings.Contains(col[9], "japanese") {
			continue
		}
		src := filepath.Join(dir, "corpus", col[0])
		raw, err := os.ReadFile(src)
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
		out, _, err := treat(raw, options())
		if err != nil {
			continue // TestRealMailIsDelivered counts these
		}
		dst := filepath.Join(tmp, fmt.Sprint(mails))
		if err := os.WriteFile(dst, out, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "%s\t%s\n", src, dst)
		mails++
	}
	cmd := exec.Command(python, "testdata/textequal.py")
	cmd.Stdin, cmd.Stderr = &list, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v", err)
	}
	texts, undecodable := "", 0
	for ln := range strings.Lines(string(out)) {
		col := strings.Split(strings.TrimSuffix(ln, "\n"), "\t")
		if col[0] == "texts" {
			texts = col[1]
			continue
		}
		if strings.HasPrefix(col[2], "Python: ") {
			undecodable++
			t.Logf("%s part %s: %s %s", col[0], col[1], col[2], col[3])
			continue
		}
		if why, ok := explained[col[0]+" "+col[1]]; ok {
			t.Logf("%s part %s: %s", col[0], col[1], why)
			continue
		}
		t.Errorf("%s part %s %s: Python has %s, we have %s", col[0], col[1], col[2], col[3], col[4])
	}
	t.Logf("%d mails, %s texts, %d that Python cannot decode", mails, texts, undecodable)
	if texts == "" || texts == "0" {
		t.Error("nothing was compared")
	}
}
