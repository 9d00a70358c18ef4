package main

import (
	"strings"
	"testing"
	"time"
)

// TestTextThatIsNoConfigurationIsSaidWithItsLine: what an editor, a wrong file
// or a wrong hand makes of the file is refused with the line, in words that say
// what to do, and never taken by half.
func TestTextThatIsNoConfigurationIsSaidWithItsLine(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 10), ", ") + "]\n"
	}
	wide := minimal + "lgwan: { domains: &d [" + strings.TrimSuffix(strings.Repeat("a.jp, ", 3000), ", ") + "] }\nprofiles:\n" +
		"  - { name: default, hold_message: *d }\n" + strings.Repeat("  - { name: x, hold_message: *d }\n", 1000)
	for _, c := range []struct{ name, text, want string }{
		{"Shift_JIS", minimal + "# \x97\xe1\x8e\xa6\x92\xac\n", ":11: not in UTF-8: save the file as UTF-8"},
		{"UTF-16", "\xff\xfeh\x00", ":1: not in UTF-8 but in UTF-16"},
		{"a zero octet", minimal + "# \x00\n", ":11: a control character"},
		{"an escape sequence", minimal + "# \x1b[31m\n", ":11: a control character"},
		{"a tab before a key", minimal + "log:\n\tlevel: info\n", ":12: yaml: a tab at the start of the line: indent with spaces"},
		{"a second document", minimal + "---\nhostname: b.example.jp\n", ":11: yaml: a second document begins"},
		{"a list", "- a\n", ":1: want keys below it, got a list"},
		{"a word", "hello\n", `:1: want keys below it, got "hello"`},
		{"an anchor that is not there", minimal + "log: *a\n", ":11: yaml: unknown anchor 'a'"},
		{"anchors that repeat themselves", minimal + bomb, ":11: a: unknown key"},
		{"a list that repeats another", wide, "more than 1000000 values, anchors written out"},
		{"merged keys", minimal + "log:\n  <<: { level: info }\n", ":12: log.<<: unknown key"},
		{"a tag", minimal + "log: !!python/object {}\n", ":11: log: a tag (!!python/object)"},
		{"a tag of YAML's own", minimal + "log: { level: !!binary aW5mbw== }\n", ":11: log.level: a tag (!!binary)"},
		{"a pit of brackets", minimal + "log: " + strings.Repeat("[", 20000) + "\n", ":11: yaml: exceeded max depth"},
		{"a Japanese key", minimal + "設定: 1\n", ":11: 設定: unknown key; known here: console"},
		{"a file that is too large", minimal + strings.Repeat("# x\n", 5<<20), ":1: the file has more than 16MiB"},
	} {
		begin := time.Now()
		_, _, err := load(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200v, want %s", c.name, err, c.want)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("%s: took %s", c.name, took)
		}
	}
	for name, text := range map[string]string{
		"a byte order mark":   "\xef\xbb\xbf" + minimal,
		"ends of Windows":     strings.ReplaceAll(minimal, "\n", "\r\n"),
		"a list used twice":   minimal + "lgwan: { domains: &d [lg.jp], except: *d }\n",
		"nothing for a key":   minimal + "log:\n",
		"a comment behind it": minimal + "# 終わり\n",
	} {
		if _, _, err := load(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPairsThatContradictAreRefused: values that are each possible, and not
// together.
func TestPairsThatContradictAreRefused(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the minimal configuration", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	const listener = `{ name: mx, zone: internet, listen: ["127.0.0.1:0"] }`
	two := func(a, b string) string {
		return replace(listener, `{ name: mx, zone: internet, listen: ["`+a+`"] }`+"\n"+`  - { name: inside, zone: lgwan, networks: [10.1.0.0/16], listen: ["`+b+`"] }`)
	}
	networks := func(n string) string {
		return replace(listener, `{ name: mx, zone: lgwan, listen: ["127.0.0.1:0"], networks: [`+n+`] }`)
	}
	for _, c := range []struct{ name, text, want string }{
		{"an address as name", replace("hostname: mx.town.example.lg.jp", "hostname: 192.0.2.25"), ":1: hostname: \"192.0.2.25\" is no full host name"},
		{"one socket twice", two(":25", ":25"), `:4: listeners[1].listen[0]: :25 is taken by mx (:25)`},
		{"one socket by all and by one address", two("0.0.0.0:25", "10.1.0.25:25"), `:4: listeners[1].listen[0]: 10.1.0.25:25 is taken by mx (0.0.0.0:25)`},
		{"the metrics' socket", two("127.0.0.1:9090", ":26"), `:3: listeners[0].listen[0]: 127.0.0.1:9090 is taken by metrics`},
		{"a name to listen on", replace("127.0.0.1:0", "mx.example.jp:25"), `:3: listeners[0].listen[0]: want ADDRESS:PORT`},
		// Whoever connects to these is trusted.
		{"everybody is inside", networks("0.0.0.0/0"), `:3: listeners[0].networks[0]: 0.0.0.0/0 is too wide for zone lgwan`},
		{"everybody in two halves", networks("0.0.0.0/1, 128.0.0.0/1"), `:3: listeners[0].networks[0]: 0.0.0.0/1 is too wide`},
		{"everybody of IPv6", networks(`"2000::/3"`), `:3: listeners[0].networks[0]: 2000::/3 is too wide`},
		{"everybody as IPv6", networks(`"::ffff:0:0/96"`), `:3: listeners[0].networks[0]: ::ffff:0:0/96 is too wide`},
		// What guards nothing must not look as if it did.
		{"a pattern for LGWAN", minimal + "lgwan: { domains: [\"*.lg.jp\"] }\n", `:11: lgwan.domains[0]: "*.lg.jp" is no domain; all names below it are meant, too`},
		{"a tenant's domain twice", replace("[town.example.lg.jp]", "[town.example.lg.jp, TOWN.example.lg.jp]"), `:6: tenants[0].domains[1]: domain "town.example.lg.jp" stands twice`},
		{"a domain in Japanese", replace("[town.example.lg.jp]", "[町.example.jp]"), `(xn--...)`},
		{"a profile that is not there", replace("    domains:", "    profile: strict\n    domains:"), `profile "strict" does not exist; known here: default`},
		{"hosts and mx", replace("network: local, hosts", "network: internet, mx: true, hosts"), `:8: hops[0]: hop "town-mail" needs either hosts or mx`},
		{"mx inside", replace(`network: local, hosts: ["127.0.0.1:2600"]`, "network: local, mx: true"), `:8: hops[0].mx: hop "town-mail": mx is for hops of network internet`},
		{"a hop twice", replace("routes:", "  - { name: town-mail, network: lgwan, hosts: [\"10.9.0.1:25\"] }\nroutes:"), `:9: hops[1].name: every hop needs a name of its own`},
		{"a host with a space", replace("127.0.0.1:2600", "a b:25"), `:8: hops[0].hosts[0]: want HOST:PORT`},
		{"port zero", replace("127.0.0.1:2600", "10.1.0.10:0"), `:8: hops[0].hosts[0]: want HOST:PORT`},
		{"an IPv6 address without brackets", replace("127.0.0.1:2600", "2001:db8::1"), `did you mean "[2001:db8::1]:25"?`},
		{"a circle", two("127.0.0.1:2600", "127.0.0.1:26"), `hops[0].hosts[0]: 127.0.0.1:2600 is this gateway's own listener "mx"`},
	} {
		_, _, err := load(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, ok := range []string{two("10.0.0.1:25", "10.0.0.2:25"), networks("10.0.0.0/8"), networks(`"fc00::/7", 192.168.0.0/16, "2001:db8::/32"`)} {
		if _, _, err := load(t, ok); err != nil {
			t.Errorf("refused: %v\n%s", err, ok)
		}
	}
	for key, want := range map[string]string{
		"quarantine: { retention: 1h }": "quarantine.retention is under a day",
		`metrics: { listen: ":9091" }`:  "metrics.listen is reached from other machines",
		"lgwan: { domains: [] }":        "lgwan.domains is empty",
		"senders: { check: off }":       "senders.check is off",
	} {
		_, s, err := load(t, minimal+key+"\n")
		if err != nil || !strings.Contains(strings.Join(s.warnings, "\n"), want) {
			t.Errorf("%s: %v, want a warning: %s", key, err, want)
		}
	}
	for address, warned := range map[string]bool{":25": true, "192.0.2.25:25": true, "127.0.0.1:25": false} {
		_, s, err := load(t, replace("127.0.0.1:0", address))
		if err != nil || strings.Contains(strings.Join(s.warnings, "\n"), "listener mx has no certificate") != warned {
			t.Errorf("without a certificate at %s: %v, %q, want a warning: %v", address, err, s.warnings, warned)
		}
	}
}
