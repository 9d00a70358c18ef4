package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryActHasItsWord reads the acts of the audit off the list that the
// documents have of them, which a test of its own holds against the code.
func TestEveryActHasItsWord(t *testing.T) {
	b, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "## Acts of the audit")
	if !ok {
		t.Fatal("docs/reasons.md has no acts")
	}
	n := 0
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cells[1], -1) {
			n++
			if w, ok := acts[m[1]]; !ok || !hasJapanese(w.ja) {
				t.Errorf("act %s has no word", m[1])
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d acts were found", n)
	}
}

func TestWhatTheAuditSaysIsReadInJapanese(t *testing.T) {
	u := &ui{ja: true}
	for in, want := range map[string]string{
		"":                                "",
		"treated, 1 clean, 2 kept back":   "無害化済、無害 1、添付保留 2",
		"passed, as received":             "検査済みとして通過、受け取ったまま",
		"treated, 1 clean; clamav: clean": "無害化済、無害 1; clamav: clean",
		"zone internet, 2 recipients, 1221 bytes, sha256 d38b":                                     "区域 internet、宛先 2 件、1221 バイト、SHA-256 d38b",
		"class executable, rule hold_message: 2: executable":                                       "分類 executable、規則 hold_message: 2: 実行形式ファイル",
		"kept back from 06h18: 2: xdw: no sanitizer for this kind":                                 "06h18 から添付を保留: 2: DocuWorks 文書: この形式の無害化には対応していません",
		"to a@b.example, hop town-mail, host 127.0.0.1: 250 2.0.0 ok":                              "宛先 a@b.example、hop town-mail、相手 127.0.0.1: 250 2.0.0 ok",
		"reason: 電話で確認; to 1 of 2 recipients as 06h19":                                             "理由: 電話で確認。宛先 2 件のうち 1 件へ、06h19 として",
		"reload, sha256 ab; changed: profiles, senders":                                            "再読込、SHA-256 ab。変更: profiles, senders",
		"what nobody has heard of, and 3 more":                                                     "what nobody has heard of, and 3 more",
		"version 2 from 2027-04-01 00:00 on: 9 addresses, 1 added, 0 removed, 0 changed; sha256 x": "第 2 版、2027-04-01 00:00 から: アドレス 9 件、追加 1、削除 0、変更 0。sha256 x",
	} {
		if got := u.event(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got := (&ui{}).event(in); got != in {
			t.Errorf("in English %q became %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"dead: 127.0.0.1: connect: dial tcp 127.0.0.1:7728: connect: connection refused": "dead: 127.0.0.1: 接続できません（127.0.0.1:7728 が応答しません）",
		"dead: given up by an administrator":                                             "dead: 管理者が配送をあきらめました",
		"2: docx: malformed":                                                             "2: docx: 壊れているか、正しい形式ではありません",
	} {
		if got := u.cause(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
