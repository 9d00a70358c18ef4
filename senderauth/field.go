package senderauth

import (
	"slices"
	"strings"

	"sekisho/envelope"
)

// Field returns an Authentication-Results field with our id, one result a
// line. RFC 8601, 2.2. Whatever a sender chose is a checked domain name or left
// out, so nothing in it can begin another result.
func Field(hostname string, a *envelope.Auth) string {
	out := []string{hostname}
	name := func(prefix, d string) string {
		if _, ok := ascii(d); !ok {
			return ""
		}
		return prefix + d
	}
	add := func(method string, r envelope.AuthResult, props ...string) {
		if r == "" {
			r = envelope.AuthNone
		}
		w := method + "=" + string(r)
		for _, p := range props {
			if p != "" {
				w += " " + p
			}
		}
		out = append(out, w)
	}
	add("spf", a.SPF, name("smtp.mailfrom=", a.SPFDomain))
	if len(a.DKIM) == 0 {
		add("dkim", envelope.AuthNone)
	}
	for _, s := range a.DKIM {
		add("dkim", s.Result, name("header.d=", s.Domain), name("header.s=", s.Selector))
	}
	from := ""
	if len(a.Domains) > 0 {
		from = a.Domains[0]
	}
	policy := ""
	if a.Policy != 0 {
		policy = "policy.published-domain-policy=" + a.Policy.String()
	}
	add("dmarc", a.DMARC, policy, name("header.from=", from))
	// Methods of our own, which RFC 8601, 2.7.6 lets a receiver add.
	for _, m := range Marks(a) {
		out = append(out, "x-sekisho-"+m+"=fail")
	}
	return "Authentication-Results: " + strings.Join(out, ";\r\n\t") + "\r\n"
}

// marks are all that a reader may be told, in a fixed order.
var marks = []struct{ name, ja string }{
	{"own-domain", "自団体のドメインを名乗っていますが確認できません"},
	{"lgwan-name", "LGWAN の名前を名乗っていますが確認できません"},
	{"dns", "DNS が応答せず確認できませんでした"},
	{"from", "差出人欄の書き方が正しくありません"},
	{"look-alike", "差出人のドメインが自団体のものに似せてあります"},
	{"display-name", "表示名に自団体のアドレスがあります"},
	{"reply-to", "返信先が自団体のアドレスです"},
	{"sender", "Sender が自団体のアドレスです"},
}

// Marks returns the marks of a message, from a closed set.
func Marks(a *envelope.Auth) []string {
	var ms []string
	for _, m := range marks {
		set := slices.Contains(a.Marks, m.name)
		switch m.name {
		case "own-domain":
			set = a.Own != ""
		case "lgwan-name":
			set = a.LGWANName != ""
		case "dns":
			set = a.Silent
		}
		if set {
			ms = append(ms, m.name)
		}
	}
	return ms
}

// Line is one line for the reader, in Japanese: the real address and what is
// known of it. Who shows it cleans the address like any text from outside.
func Line(a *envelope.Auth) string {
	who := a.From
	if r := []rune(who); len(r) > shown {
		// The domain is what tells.
		local := len(r) - len([]rune(who[strings.LastIndexByte(who, '@')+1:])) - 1
		who = string(r[:max(min(local, 8), 0)]) + "…" + string(r[max(local, len(r)-shown):])
	}
	if who == "" {
		who = "アドレスなし"
	}
	var said string
	switch {
	case a.DMARC == envelope.AuthPass, a.SPFAligned, slices.ContainsFunc(a.DKIM, func(s envelope.Signature) bool { return s.Aligned }):
		said = "送信ドメイン認証: 成功"
	case a.DMARC == envelope.AuthFail:
		said = "送信ドメイン認証: 失敗"
	case a.Silent:
		said = "送信ドメイン認証: 確認できず"
	default:
		said = "送信ドメイン認証: なし"
	}
	words := []string{said}
	for _, n := range Marks(a) {
		for _, m := range marks {
			if m.name == n && n != "dns" {
				words = append(words, m.ja)
			}
		}
	}
	return who + "（" + strings.Join(words, "、") + "）"
}

// shown is how many characters of an address stand in the line.
const shown = 60
