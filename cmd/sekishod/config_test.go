package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/envelope"
	"sekisho/internal/limit"
	"sekisho/sanitize"
	"sekisho/smtpd"
)

// minimal is the smallest configuration that starts.
const minimal = `hostname: mx.town.example.lg.jp
listeners:
  - { name: mx, zone: internet, listen: ["127.0.0.1:0"] }
tenants:
  - id: town
    domains: [town.example.lg.jp]
hops:
  - { name: town-mail, network: local, hosts: ["127.0.0.1:2600"] }
routes:
  - { domain: town.example.lg.jp, hop: town-mail }
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t *testing.T, text string) (*config, *settings, error) {
	t.Helper()
	c, f, err := loadConfig(write(t, "sekisho.yaml", text))
	if err != nil {
		return nil, nil, err
	}
	s, err := c.settings(f)
	return c, s, err
}

// TestNoticesAreReadAndTriedOut: a file of wording reaches the worker's options,
// and one that is wrong stops the start with its own name and line.
func TestNoticesAreReadAndTriedOut(t *testing.T) {
	good := write(t, "ja.txt", "# 市の言葉\n@change ooxml.vba\nマクロを {n} 個外しました\n")
	_, s, err := load(t, minimal+fmt.Sprintf("profiles: [ { name: default, notices: { ja: %s } } ]\n", good))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.rules.Options("default").Wording["ja"]["change ooxml.vba"]; got != "マクロを {n} 個外しました" {
		t.Errorf("the options say %q", got)
	}
	bad := write(t, "en.txt", "# ours\n\n@change ooxml.vba\n{count} macros\n")
	for _, c := range []struct{ keys, want string }{
		{"{ en: " + bad + " }", ":11: profiles[0].notices.en: " + bad + `:4: the section "change ooxml.vba" has no {count}; it has {n}`},
		{"{ ja: /no/such/file }", ":11: profiles[0].notices.ja: open /no/such/file"},
		{"{ fr: x }", `:11: profiles[0].notices.fr: unknown key`},
	} {
		_, _, err := load(t, minimal+"profiles: [ { name: default, notices: "+c.keys+" } ]\n")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.keys, err, c.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, s, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxMessageSize != 20<<20 || time.Duration(c.Quarantine.Retention) != 14*24*time.Hour || c.Metrics.Listen != "127.0.0.1:9090" || c.DataDir != "/var/lib/sekisho" {
		t.Errorf("defaults: %+v", c)
	}
	p := s.rules.Profiles["default"]
	if !p.Rules[sanitize.ClassOffice].Allows(sanitize.Rebuild) || !p.Rules[sanitize.ClassPDF].Allows(sanitize.Rebuild) || p.Rules[sanitize.ClassEncrypted].Allows(sanitize.Rebuild) {
		t.Errorf("rules of the default profile: %+v", p.Rules)
	}
	if !p.Codes || p.HoldCodes {
		t.Errorf("QR codes in the default profile: looked for %t, held %t", p.Codes, p.HoldCodes)
	}
	if !p.HoldMessage[sanitize.ClassExecutable] || p.HoldMessage[sanitize.ClassEncrypted] {
		t.Errorf("hold_message of the default profile: %v", p.HoldMessage)
	}
	if _, _, err := s.table.Find(envelope.Internet, envelope.Address{Local: "a", Domain: "town.example.lg.jp"}); err != nil {
		t.Errorf("route of the tenant's domain: %v", err)
	}
}

// TestErrorsNameFileLineAndWhatToDo holds one wrong line each; the error must
// name the line, the key and the way out.
func TestErrorsNameFileLineAndWhatToDo(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the minimal configuration", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "", ":1: hostname: the file is empty"},
		{"a host name with a space", replace("hostname: mx.town.example.lg.jp", "hostname: mx town.example.lg.jp"), `:1: hostname: "mx town.example.lg.jp" is no full host name`},
		{"a port that is none", replace(`"127.0.0.1:0"`, `"127.0.0.1:99999"`), `.listen[0]: want ADDRESS:PORT, got "127.0.0.1:99999"`},
		{"what is held ends at once", minimal + "quarantine: { retention: 0s }\n", ": quarantine.retention: "},
		{"no host name", replace("hostname: mx.town.example.lg.jp", "data_dir: /tmp/x"), ": hostname: required"},
		{"an unknown key", minimal + "quarantaine: { retention: 1d }\n", `:11: quarantaine: unknown key; did you mean "quarantine"?`},
		{"an unknown key below", minimal + "quarantine: { retain: 1d }\n", `:11: quarantine.retain: unknown key; known here: retention`},
		{"a key twice", minimal + "hops: []\n", `:11: `},
		{"a wrong time", minimal + "quarantine: { retention: two weeks }\n", `:11: quarantine.retention: "two weeks" is no time; write for instance 14d`},
		{"a wrong size", minimal + "max_message_size: 20 megs\n", `:11: max_message_size: "20 megs" is no size`},
		{"a size out of bounds", minimal + "max_message_size: 1KiB\n", `:11: max_message_size: want between`},
		{"a wrong zone", replace("zone: internet", "zone: intranet"), `:3: listeners[0].zone: `},
		{"a zone without networks", replace("zone: internet", "zone: lgwan"), `:3: listeners[0].networks: `},
		{"bits beyond a network", replace("zone: internet", "zone: lgwan, networks: [10.1.2.3/16]"), `did you mean 10.1.0.0/16?`},
		{"a list where text is wanted", replace("id: town", "id: [town]"), `:5: tenants[0].id: want text`},
		{"text where a list is wanted", replace("domains: [town.example.lg.jp]", "domains: town.example.lg.jp"), `:6: tenants[0].domains: want a list`},
		{"keys where a list of them is wanted", minimal + "profiles: { default: { office: rebuild } }\n", `:11: profiles: want a list, such as [{ name: ... }]`},
		{"a number where text is wanted", replace("name: town-mail, network", "name: 7, network"), `want text, got 7`},
		{"a hop that does not exist", replace("hop: town-mail", "hop: twon-mail"), `:10: routes[0].hop: hop "twon-mail" does not exist; did you mean "town-mail"?`},
		{"steps out of their order", minimal + "profiles: [ { name: default, legacy_office: [text, convert] } ]\n", `:11: profiles[0].legacy_office: convert stands out of its order`},
		{"a step that is not built", minimal + "profiles: [ { name: default, image: flatten } ]\n", `:11: profiles[0].image: flatten is not built`},
		{"a step that does not exist", minimal + "profiles: [ { name: default, office: rebiuld } ]\n", `did you mean "rebuild"?`},
		{"a kind of picture with a step that it has not", minimal + "profiles: [ { name: default, image_kinds: { eps: rebuild } } ]\n", `:11: profiles[0].image_kinds.eps: want convert, hold or remove`},
		{"a kind of picture that is none", minimal + "profiles: [ { name: default, image_kinds: { xcf: hold } } ]\n", `:11: profiles[0].image_kinds.xcf: unknown key`},
		{"drawings in a way that is none", minimal + "profiles: [ { name: default, drawings: svg } ]\n", `:11: profiles[0].drawings: want keep or png`},
		{"remove in a list", minimal + "profiles: [ { name: default, office: [rebuild, remove] } ]\n", `remove stands alone`},
		{"pages of no known form", minimal + "profiles: [ { name: default, pages: tiny } ]\n", `profiles[0].pages: want usual or small`},
		{"a way with formulas that does not exist", minimal + "profiles: [ { name: default, formulas: value } ]\n", `profiles[0].formulas: want keep or values`},
		{"a way with codes that does not exist", minimal + "profiles: [ { name: default, qr: hide } ]\n", `profiles[0].qr: want show, hold or off`},
		{"a class that cannot hold", minimal + "profiles: [ { name: default, hold_message: [pdf] } ]\n", `profiles[0].hold_message[0]: want executable`},
		{"a converter without a name", minimal + "converters: [ { kind: xdw, command: [/usr/bin/x, '{in}'] } ]\n", `:11: converters[0].name: every converter needs a name`},
		{"a converter of what is rebuilt", minimal + "converters: [ { name: a, kind: docx, command: [/usr/bin/x, '{in}'] } ]\n", `:11: converters[0].kind: no converter may treat "docx"`},
		{"a converter of programs", minimal + "converters: [ { name: a, kind: executable, command: [/usr/bin/x, '{in}'] } ]\n", `:11: converters[0].kind: no converter may treat "executable"`},
		{"a converter of a kind in other letters", minimal + "converters: [ { name: a, kind: xdv, command: [/usr/bin/x, '{in}'] } ]\n", `did you mean "xdw"?`},
		{"a converter that is no program", minimal + "converters: [ { name: a, kind: xdw, command: [x2pdf, '{in}'] } ]\n", `:11: converters[0].command: want a list with the absolute path`},
		{"a converter without the file", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x] } ]\n", `no word behind the program says {in}`},
		{"a converter outside its sandbox", minimal + "converters: [ { name: a, kind: xdw, command: [/opt/x/x, '{in}'] } ]\n", `:11: converters[0].command: /opt/x/x lies neither below /usr`},
		{"a converter that sees processes", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], paths: [/proc/1] } ]\n", `:11: converters[0].paths: "/proc/1" cannot be shown`},
		{"a converter that sees all", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], paths: [/] } ]\n", `"/" is no absolute path below /`},
		{"a converter that sees the mail", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], paths: [/var/lib] } ]\n", `:11: converters[0].paths: /var/lib/sekisho would be shown to the converter with /var/lib`},
		{"a converter inside the data", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], paths: [/var/lib/sekisho/bin] } ]\n", `/var/lib/sekisho would be shown to the converter with /var/lib/sekisho/bin`},
		{"a converter that sees the key", minimal + "store: { key_file: /etc/sekisho/site.key }\nconverters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], paths: [/etc/sekisho] } ]\n", `/etc/sekisho/site.key would be shown to the converter with /etc/sekisho`},
		{"a converter without end", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'], time: 5m } ]\n", `:11: converters[0].time: want between 1s and 1m`},
		{"two converters of one kind", minimal + "converters: [ { name: a, kind: xdw, command: [/usr/bin/x, '{in}'] }, { name: b, kind: xdw, command: [/usr/bin/x, '{in}'] } ]\n", `converters: a and b are both for xdw`},
		{"a converter that does not exist", minimal + "converters: [ { name: dwx, kind: xdw, command: [/usr/bin/x, '{in}'] } ]\nprofiles: [ { name: default, converters: [dwy] } ]\n", `profiles[0].converters[0]: no converter has the name "dwy"; did you mean "dwx"?`},
		{"originals", minimal + "originals: { deliver: on }\n", `:11: originals.deliver: originals are never delivered so far`},
		{"another store", minimal + "store: { database: postgres://x }\n", `:11: store.database: only the embedded store`},
		{"a console", minimal + "console: { listen: ':8443' }\n", `:11: console.listen: there is no console yet`},
		{"a tenant's domain to the internet", replace("network: local, hosts: [\"127.0.0.1:2600\"]", "network: internet, mx: true"), `may not leave`},
		{"a profile that does not exist", replace("id: town\n", "id: town\n    profile: strict\n"), `profile "strict" does not exist`},
		{"a recipients file that is not there", replace("id: town\n", "id: town\n    recipients: { file: nobody.csv }\n"), `tenants[0].recipients.file: open `},
		{"a limit of zero", minimal + "limits: { connections_per_address: 0 }\n", `limits.connections_per_address: want a number above zero`},
		{"a balancer that is everybody", replace("zone: internet", "zone: internet, proxy: [0.0.0.0/0]"), `:3: listeners[0].proxy[0]: 0.0.0.0/0 is too wide: name the balancers, at most a /24`},
		{"a balancer that is no address", replace("zone: internet", "zone: internet, proxy: [lb1]"), `:3: listeners[0].proxy[0]: "lb1" is no network`},
		{"a limit that is not there", minimal + "limits: { conections: 10 }\n", `:11: limits.conections: unknown key; did you mean "connections"?`},
		{"a limit twice", minimal + "limits:\n  connections: 100\n  connections: 200\n", `:13: `},
		{"a limit of another unit", minimal + "limits: { data_time: 600 }\n", `limits.data_time: "600" is no time`},
		{"a limit that would not limit", minimal + "limits: { command_line: 64KiB }\n", `limits.command_line: want at most 4KiB`},
		{"a limit too low to work", minimal + "limits: { recipients_per_message: 7 }\n", `limits.recipients_per_message: want at least 100`},
		{"a limit that is no setting", minimal + "limits: { lease: 45s }\n", `:11: limits.lease: unknown key`},
		{"a certificate without a key", replace(`listen: ["127.0.0.1:0"]`, `listen: ["127.0.0.1:0"], tls: { cert: a.pem }`), `cert and key go together`},
		{"no YAML", "hostname: [\n", `: yaml: `},
	} {
		_, _, err := load(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "sekisho.yaml:") {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
}

func TestRecipientsFile(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"good.csv":    {"\ufeffname,address\n総務課,Soumu@town.example.lg.jp\n,\nx,.a..b.@town.example.lg.jp\n", ""},
		"column.csv":  {"name\nsoumu@town.example.lg.jp\n", "column.csv:1: \"name\" the first line must name the columns"},
		"foreign.csv": {"address\nsoumu@elsewhere.example\n", "foreign.csv:2: \"soumu@elsewhere.example\" is in none"},
		"broken.csv":  {"address\nsoumu\n", "broken.csv:2: \"soumu\" is no address"},
		"empty.csv":   {"", "empty.csv: no line has an address"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := readRecipients(file, []string{"town.example.lg.jp"})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want one that says %q", name, err, c.want)
			}
			continue
		}
		if err != nil || list.Text() != "address,from,until\n.a..b.@town.example.lg.jp,,\nSoumu@town.example.lg.jp,,\n" {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

func TestDefaultLimitsAreThoseOfTheRooms(t *testing.T) {
	c, s, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.limits(), smtpd.DefaultLimits(); got != want {
		t.Errorf("smtpd:\n%+v, wanted\n%+v", got, want)
	}
	if got, want := s.rules.Limits, sanitize.DefaultLimits(); got != want {
		t.Errorf("sanitize:\n%+v, wanted\n%+v", got, want)
	}
	for k, v := range c.values() {
		if r, ok := limit.Find(k); !ok || r.Default != v {
			t.Errorf("%s is %d, not as in the table", k, v)
		}
	}
}

// TestEveryLimitReachesItsRoom sets each key to another value and looks for a
// difference in what the rooms get.
func TestEveryLimitReachesItsRoom(t *testing.T) {
	plain, _, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	keys := limit.Keys("limits")
	if len(keys) < 30 {
		t.Errorf("only %d keys", len(keys))
	}
	for _, k := range keys {
		r, _ := limit.Find("limits." + k)
		n := r.Default / 2
		if n < r.Least || n == r.Default {
			n = r.Default + max(r.Default/2, 1)
		}
		c, _, err := load(t, minimal+"limits: { "+k+": "+r.Value(n)+" }\n")
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if c.limits() == plain.limits() && c.budget() == plain.budget() {
			t.Errorf("%s: %s changes nothing", k, r.Value(n))
		}
	}
}

// TestConnectionsFitIntoTheOpenFiles lowers the process's own limit, which is
// that of every test here, by nothing: it asks for more than there is.
func TestConnectionsFitIntoTheOpenFiles(t *testing.T) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	g := &gateway{log: slog.New(slog.NewTextHandler(&log, nil))}
	l := smtpd.DefaultLimits()
	l.Connections, l.NearCap, l.StressAt, l.ConnectionsPerNetwork = int(r.Cur)*2, int(r.Cur)*19/10, int(r.Cur)*18/10, int(r.Cur)/5
	got := g.openFiles(l)
	if got.Connections >= int(r.Cur) || got.NearCap >= got.Connections || got.StressAt >= got.NearCap || got.ConnectionsPerNetwork*5 > got.Connections {
		t.Errorf("with %d open files: %d connections, near the cap from %d, stress from %d, %d a network", r.Cur, got.Connections, got.NearCap, got.StressAt, got.ConnectionsPerNetwork)
	}
	if !strings.Contains(log.String(), "only") {
		t.Errorf("log %q", log.String())
	}
	l.Connections = 10
	if got := g.openFiles(l); got != l {
		t.Errorf("ten connections became %d", got.Connections)
	}
}

// A word names the first step of the ladder, a list exactly the steps allowed.
func TestWordsAndListsOfSteps(t *testing.T) {
	all := []sanitize.Mode{sanitize.Rebuild, sanitize.Convert, sanitize.Flatten, sanitize.Text}
	for word, want := range map[string][]sanitize.Mode{
		"rebuild": all, "strip": all, "convert": all[1:], "text": all[3:], "hold": nil, "remove": nil,
		"[rebuild]": all[:1], "[rebuild, hold]": all[:1], "[rebuild, text]": {sanitize.Rebuild, sanitize.Text}, "[convert, text, hold]": {sanitize.Convert, sanitize.Text},
	} {
		_, s, err := load(t, minimal+"profiles: [ { name: default, office: "+word+", archive: rebuild } ]\n")
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		o := s.rules.Options("default")
		if got := o.Rule(sanitize.ClassOffice); !slices.Equal(got.Steps, want) || got.Drop != (word == "remove") {
			t.Errorf("%s: %v", word, got)
		}
		// What has one way of being treated has one step; what is not named has
		// its default.
		if got := o.Rule(sanitize.ClassArchive).Steps; !slices.Equal(got, all[:1]) {
			t.Errorf("archive: %v", got)
		}
		if got := o.Rule(sanitize.ClassLegacyOffice).Steps; !slices.Equal(got, all) {
			t.Errorf("legacy office: %v", got)
		}
	}
}

// Texts can be drawn; a word lets them be treated as ever where that fails.
func TestTextsMayBeDrawn(t *testing.T) {
	for _, c := range []struct {
		profile string
		class   sanitize.Class
		want    []sanitize.Mode
	}{
		{"html: flatten", sanitize.ClassHTML, []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}},
		{"html: [flatten, hold]", sanitize.ClassHTML, []sanitize.Mode{sanitize.Flatten}},
		{"html: [flatten, text]", sanitize.ClassHTML, []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}},
		{"html: rebuild", sanitize.ClassHTML, []sanitize.Mode{sanitize.Rebuild, sanitize.Text}},
		{"text: flatten", sanitize.ClassText, []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}},
		{"csv: flatten", sanitize.ClassCSV, []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}},
		{"csv: keep", sanitize.ClassCSV, []sanitize.Mode{sanitize.Rebuild}},
	} {
		_, s, err := load(t, minimal+"profiles: [ { name: default, "+c.profile+" } ]\n")
		if err != nil {
			t.Errorf("%s: %v", c.profile, err)
			continue
		}
		if got := s.rules.Options("default").Rules[c.class].Steps; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.profile, got)
		}
	}
	for _, wrong := range []string{"html: [text, flatten]", "html: [flatten, rebuild]"} {
		if _, _, err := load(t, minimal+"profiles: [ { name: default, "+wrong+" } ]\n"); err == nil || !strings.Contains(err.Error(), "out of its order") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestProfilesChooseTheirConverters: all where a profile names none, none where
// its list is empty.
func TestProfilesChooseTheirConverters(t *testing.T) {
	_, s, err := load(t, minimal+`converters:
  - { name: one, kind: xdw, command: [/opt/one/x, "{in}", "{out}"], paths: [/opt/one] }
  - { name: two, kind: xdw, command: [/usr/bin/two, "{in}"], time: 5s }
  - { name: cad, kind: dwg, command: [/usr/bin/cad, "{in}", "{dir}"] }
profiles:
  - { name: default, converters: [two, cad] }
  - { name: none, converters: [] }
`)
	if err != nil {
		t.Fatal(err)
	}
	o := s.rules.Options("default")
	if got := o.Hooks[sanitize.KindXDW]; got.Name != "two" || o.Converters[got.Number-1].Time != 5*time.Second {
		t.Errorf("the converter of DocuWorks is %+v", got)
	}
	if got := o.Hooks[sanitize.KindDWG]; got.Name != "cad" || o.Converters[got.Number-1].Time != 30*time.Second {
		t.Errorf("the converter of DWG is %+v", got)
	}
	if o := s.rules.Options("none"); len(o.Hooks) != 0 || len(o.Converters) != 0 {
		t.Errorf("a profile without converters has %v", o.Hooks)
	}
	if got := fmt.Sprint(s.warnings); !strings.Contains(got, "converter one: /opt/one/x cannot be found") {
		t.Errorf("the warnings are %s", got)
	}
}
