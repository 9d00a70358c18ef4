package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/limit"
	"sekisho/internal/notice"
	"sekisho/policy"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/scan"
	"sekisho/smtpd"
	"sekisho/tenant"
)

// config is the configuration file, decoded once. No other part of the program
// sees it: serve.go hands single values to the rooms.
type config struct {
	Hostname string `mapstructure:"hostname"`
	DataDir  string `mapstructure:"data_dir"`
	Store    struct {
		KeyFile  string `mapstructure:"key_file"`
		Database string `mapstructure:"database"`
		Blobs    string `mapstructure:"blobs"`
	} `mapstructure:"store"`
	Listeners      []listenerConfig `mapstructure:"listeners"`
	MaxMessageSize byteSize         `mapstructure:"max_message_size"`
	Limits         limitValues      `mapstructure:"limits"`
	Tenants        []tenantConfig   `mapstructure:"tenants"`
	Profiles       []profileConfig  `mapstructure:"profiles"`
	Hops           []hopConfig      `mapstructure:"hops"`
	Routes         []routeConfig    `mapstructure:"routes"`
	LGWAN          struct {
		Domains []string `mapstructure:"domains"`
		Except  []string `mapstructure:"except"`
	} `mapstructure:"lgwan"`
	Resolver   string          `mapstructure:"resolver"`
	DANE       string          `mapstructure:"dane"` // off, on
	Senders    sendersConfig   `mapstructure:"senders"`
	DKIM       []dkimConfig    `mapstructure:"dkim"`
	Scanners   []scannerConfig `mapstructure:"scanners"`
	Quarantine struct {
		Retention duration `mapstructure:"retention"`
	} `mapstructure:"quarantine"`
	Originals struct {
		Deliver   string   `mapstructure:"deliver"`
		Retention duration `mapstructure:"retention"`
		MaxDisk   percent  `mapstructure:"max_disk"`
	} `mapstructure:"originals"`
	Console struct {
		Listen string `mapstructure:"listen"`
	} `mapstructure:"console"`
	Metrics struct {
		Listen string `mapstructure:"listen"`
	} `mapstructure:"metrics"`
	Log struct {
		Format string `mapstructure:"format"`
		Level  string `mapstructure:"level"`
	} `mapstructure:"log"`
}

type listenerConfig struct {
	Name     string    `mapstructure:"name"`
	Zone     string    `mapstructure:"zone"`
	Listen   []string  `mapstructure:"listen"`
	TLS      tlsConfig `mapstructure:"tls"`
	Networks []string  `mapstructure:"networks"`
	Peers    []string  `mapstructure:"peers"`
	Proxy    []string  `mapstructure:"proxy"`
	Accepts  string    `mapstructure:"accepts"`
}

type tlsConfig struct {
	Cert string `mapstructure:"cert"`
	Key  string `mapstructure:"key"`
}

// limitValues are the limits that the file sets; package limit knows which
// there are, what they may be and why they are as they are.
type limitValues map[string]any

type tenantConfig struct {
	ID         string   `mapstructure:"id"`
	Name       string   `mapstructure:"name"`
	Domains    []string `mapstructure:"domains"`
	Recipients struct {
		Accept string `mapstructure:"accept"`
		File   string `mapstructure:"file"`
	} `mapstructure:"recipients"`
	Administrators []string `mapstructure:"administrators"`
	TrustedSenders []string `mapstructure:"trusted_senders"`
	Profile        string   `mapstructure:"profile"`
}

// profileConfig has the keys whose kinds are treated so far. Another key of
// the contract is refused with a sentence that says so: a setting that nothing
// reads would be believed.
type profileConfig struct {
	Name        string   `mapstructure:"name"`
	Body        string   `mapstructure:"body"`
	URLs        string   `mapstructure:"urls"`
	Formulas    string   `mapstructure:"formulas"`
	QR          string   `mapstructure:"qr"`
	Pages       string   `mapstructure:"pages"`
	Office      steps    `mapstructure:"office"`
	PDF         steps    `mapstructure:"pdf"`
	Image       steps    `mapstructure:"image"`
	HTML        steps    `mapstructure:"html"`
	Text        steps    `mapstructure:"text"`
	CSV         string   `mapstructure:"csv"`
	Comments    string   `mapstructure:"comments"`
	Changes     string   `mapstructure:"changes"`
	Calendar    steps    `mapstructure:"calendar"`
	Archive     steps    `mapstructure:"archive"`
	Legacy      steps    `mapstructure:"legacy_office"`
	Executable  steps    `mapstructure:"executable"`
	Encrypted   steps    `mapstructure:"encrypted"`
	Ichitaro    steps    `mapstructure:"ichitaro"`
	Unknown     steps    `mapstructure:"unknown"`
	HoldMessage []string `mapstructure:"hold_message"`
	Language    string   `mapstructure:"language"`
	Notices     struct {
		JA string `mapstructure:"ja"`
		EN string `mapstructure:"en"`
	} `mapstructure:"notices"`
}

type hopConfig struct {
	Name    string   `mapstructure:"name"`
	Network string   `mapstructure:"network"`
	Hosts   []string `mapstructure:"hosts"`
	MX      bool     `mapstructure:"mx"`
	TLS     string   `mapstructure:"tls"`
}

type routeConfig struct {
	Domain     string `mapstructure:"domain"`
	Hop        string `mapstructure:"hop"`
	Subdomains bool   `mapstructure:"subdomains"`
}

// The scalar types have a text form of their own.
type (
	byteSize int64         // 20MiB
	duration time.Duration // 14d, 30m
	percent  int           // 40%
	steps    []string      // rebuild, or [rebuild, hold]
)

func defaults() *config {
	c := &config{DataDir: "/var/lib/sekisho", MaxMessageSize: 20 << 20}
	c.Quarantine.Retention = duration(14 * 24 * time.Hour)
	c.Originals.Deliver = "off"
	c.Originals.Retention = duration(14 * 24 * time.Hour)
	c.Originals.MaxDisk = 40
	c.Metrics.Listen = "127.0.0.1:9090"
	c.Log.Format, c.Log.Level = "json", "info"
	c.LGWAN.Domains = []string{"lg.jp"}
	c.Senders = sendersConfig{Check: "on", DMARCReject: "refuse", DNSSilent: "mark", LGWANNames: "mark"}
	return c
}

// A configError says where in the file something is wrong.
type configError struct {
	file string
	line int
	key  string
	text string
}

func (e *configError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.file, e.line, e.key, e.text)
}

// configFile is the file as text, for error messages that name a line.
type configFile struct {
	name  string
	lines map[string]int // by path: "listeners[0].zone"
}

func (f *configFile) errorf(path, format string, args ...any) error {
	line := 1
	// The nearest place that stands in the file: a missing key is reported
	// where its parent begins.
	for p := path; p != ""; {
		if l, ok := f.lines[p]; ok {
			line = l
			break
		}
		i := strings.LastIndexAny(p, ".[")
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return &configError{file: f.name, line: line, key: path, text: fmt.Sprintf(format, args...)}
}

// loadConfig reads and checks FILE. Its error is what the administrator reads:
// FILE:LINE: key: what is wrong; did you mean ...
func loadConfig(name string) (*config, *configFile, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s:1: the file cannot be read: %w", name, err)
	}
	f := &configFile{name: name, lines: map[string]int{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := regexp.MustCompile(`line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		return nil, nil, &configError{file: name, line: line, key: "yaml", text: text}
	}
	if len(doc.Content) == 0 {
		return nil, nil, &configError{file: name, line: 1, key: "hostname", text: "the file is empty; a first one is in deploy/sekisho.yaml"}
	}
	if err := f.check(doc.Content[0], reflect.TypeOf(config{}), ""); err != nil {
		return nil, nil, err
	}
	// Domains stand in values, never in keys: viper lower-cases keys and would
	// split them at a dot.
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(raw)); err != nil {
		return nil, nil, &configError{file: name, line: 1, key: "yaml", text: err.Error()}
	}
	c := defaults()
	hook := viper.DecodeHook(mapstructure.DecodeHookFuncType(decodeScalar))
	exact := func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput, d.ErrorUnused = false, true }
	if err := v.UnmarshalExact(c, hook, exact); err != nil {
		return nil, nil, &configError{file: name, line: 1, key: "yaml", text: strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	return c, f, nil
}

// check walks the file beside the type it will be decoded into and refuses
// unknown keys, repeated keys and wrong types, each with its line.
func (f *configFile) check(n *yaml.Node, t reflect.Type, path string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	f.lines[path] = n.Line
	fail := func(format string, args ...any) error { return f.errorf(path, format, args...) }
	switch t {
	case reflect.TypeOf(limitValues{}):
		return f.checkLimits(n, path)
	case reflect.TypeOf(steps{}):
		if n.Kind != yaml.ScalarNode && n.Kind != yaml.SequenceNode {
			return fail("want a step such as rebuild, or a list of steps")
		}
		return nil
	case reflect.TypeOf(byteSize(0)), reflect.TypeOf(duration(0)), reflect.TypeOf(percent(0)):
		if n.Kind != yaml.ScalarNode {
			return fail("want one value")
		}
		if _, err := decodeScalar(reflect.TypeOf(""), t, n.Value); err != nil {
			return fail("%v", err)
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return nil
		}
		if n.Kind != yaml.MappingNode {
			return fail("want keys below it, got %q", n.Value)
		}
		fields := map[string]reflect.Type{}
		var names []string
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("mapstructure")
			fields[name] = t.Field(i).Type
			names = append(names, name)
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, val := n.Content[i], n.Content[i+1]
			key := join(path, k.Value)
			f.lines[key] = k.Line
			ft, ok := fields[k.Value]
			if !ok {
				return f.errorf(key, "unknown key%s", suggest(k.Value, names))
			}
			if seen[k.Value] {
				return f.errorf(key, "stands twice")
			}
			seen[k.Value] = true
			if err := f.check(val, ft, key); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return nil
		}
		if n.Kind != yaml.SequenceNode {
			return fail("want a list, such as [%q]", n.Value)
		}
		for i, e := range n.Content {
			if err := f.check(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.String:
		if n.Kind != yaml.ScalarNode {
			return fail("want text")
		}
		// YAML reads off, on, yes and no as booleans; the settings that have
		// them are words.
		if n.Tag != "!!str" && n.Tag != "!!bool" && n.Tag != "!!null" {
			return fail("want text, got %s; put it in quotes", n.Value)
		}
		return nil
	case reflect.Bool:
		if n.Tag != "!!bool" {
			return fail("want true or false, got %q", n.Value)
		}
		return nil
	case reflect.Int:
		if n.Tag != "!!int" {
			return fail("want a number, got %q", n.Value)
		}
		return nil
	default:
		return fail("cannot be set")
	}
}

// checkLimits is check for the limits, which are known by their table.
func (f *configFile) checkLimits(n *yaml.Node, path string) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return f.errorf(path, "want keys below it, got %q", n.Value)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		key := join(path, k.Value)
		f.lines[key] = k.Line
		r, ok := limit.Find(key)
		switch {
		case !ok || !r.Set():
			return f.errorf(key, "unknown key%s", suggest(k.Value, limit.Keys(path)))
		case seen[k.Value]:
			return f.errorf(key, "stands twice")
		case val.Kind != yaml.ScalarNode:
			return f.errorf(key, "want one value")
		}
		seen[k.Value] = true
		if _, err := r.Parse(val.Value); err != nil {
			return f.errorf(key, "%v", err)
		}
	}
	return nil
}

// values are all limits, those of the file over the defaults.
func (c *config) values() limit.Values {
	v := limit.Values{"max_message_size": int64(c.MaxMessageSize), "quarantine.retention": int64(c.Quarantine.Retention),
		"originals.retention": int64(c.Originals.Retention), "originals.max_disk": int64(c.Originals.MaxDisk)}
	for k, text := range c.Limits {
		if r, ok := limit.Find("limits." + k); ok {
			if n, err := r.Parse(fmt.Sprint(text)); err == nil { // checked by checkLimits
				v[r.Key] = n
			}
		}
	}
	return v
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// decodeScalar turns the text form of a scalar into its value.
func decodeScalar(from, to reflect.Type, v any) (any, error) {
	text := fmt.Sprint(v)
	switch to {
	case reflect.TypeOf(byteSize(0)):
		n, err := limit.ParseUnit(limit.Bytes, text)
		return byteSize(n), err
	case reflect.TypeOf(duration(0)):
		n, err := limit.ParseUnit(limit.Time, text)
		return duration(n), err
	case reflect.TypeOf(percent(0)):
		n, err := limit.ParseUnit(limit.Percent, text)
		return percent(n), err
	case reflect.TypeOf(steps{}):
		if from.Kind() == reflect.String {
			return steps{v.(string), following}, nil
		}
	}
	if to.Kind() == reflect.String && from.Kind() == reflect.Bool {
		if v.(bool) {
			return "on", nil
		}
		return "off", nil
	}
	return v, nil
}

// suggest names the nearest word, when one is near.
func suggest(got string, words []string) string {
	best, at := "", 3
	for _, w := range words {
		if d := editDistance(got, w); d < at {
			best, at = w, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	sort.Strings(words)
	return "; known here: " + strings.Join(words, ", ")
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}

// settings is the configuration in the terms of the rooms: what can be swapped
// while the gateway runs.
type settings struct {
	rules     *policy.Rules
	table     *routing.Table
	named     *tenant.Directory // as the file has it
	directory *tenant.Directory // with the recipients that were imported
	senders   *smtpd.SenderRules
	keys      []delivery.Key
	scanners  []*scan.Scanner
	config    *config
	listeners []smtpd.ListenerConfig
	certs     []*certificate // of the listeners
	warnings  []string
}

// settings checks what the types cannot say and builds the values of the rooms.
func (c *config) settings(f *configFile) (*settings, error) {
	s := &settings{config: c}
	if !hostnamePattern.MatchString(c.Hostname) || !strings.Contains(c.Hostname, ".") {
		return nil, f.errorf("hostname", "required: the full name of this gateway, such as mx.town.example.lg.jp")
	}
	if c.DataDir == "" || !filepath.IsAbs(c.DataDir) {
		return nil, f.errorf("data_dir", "want an absolute path, got %q", c.DataDir)
	}
	if c.Store.Database != "" {
		return nil, f.errorf("store.database", "only the embedded store exists so far; leave it empty")
	}
	if c.Store.Blobs != "" {
		return nil, f.errorf("store.blobs", "only files in data_dir exist so far; leave it empty")
	}
	if c.Originals.Deliver != "off" {
		return nil, f.errorf("originals.deliver", "originals are never delivered so far; only off is allowed")
	}
	if c.Console.Listen != "" {
		return nil, f.errorf("console.listen", "there is no console yet; leave it empty")
	}
	if c.MaxMessageSize < 64<<10 || c.MaxMessageSize > 256<<20 {
		return nil, f.errorf("max_message_size", "want between 64KiB and 256MiB")
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return nil, f.errorf("log.format", "want json or text, got %q", c.Log.Format)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return nil, f.errorf("log.level", "want debug, info, warn or error, got %q", c.Log.Level)
	}
	if c.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
			return nil, f.errorf("metrics.listen", "want ADDRESS:PORT, got %q", c.Metrics.Listen)
		}
	}
	if err := c.checkListeners(f); err != nil {
		return nil, err
	}
	var err error
	if s.rules, err = c.rules(f); err != nil {
		return nil, err
	}
	if s.named, err = c.directory(f); err != nil {
		return nil, err
	}
	s.directory = s.named
	if s.table, err = c.table(f); err != nil {
		return nil, err
	}
	if s.senders, err = c.senderRules(f, s); err != nil {
		return nil, err
	}
	if s.keys, err = c.signingKeys(f, s.directory); err != nil {
		return nil, err
	}
	if s.scanners, err = c.scanners(f); err != nil {
		return nil, err
	}
	if bare := c.unscanned(); len(c.Scanners) > 0 && len(bare) > 0 {
		s.warnings = append(s.warnings, "no antivirus looks at mail of zone "+strings.Join(bare, ", "))
	}
	if s.listeners, s.certs, err = c.listeners(f); err != nil {
		return nil, err
	}
	if c.Store.KeyFile == "" {
		s.warnings = append(s.warnings, "store.key_file is in data_dir: keep a copy apart from the backup, a lost key file is lost mail")
	}
	return s, nil
}

var hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

func (c *config) checkListeners(f *configFile) error {
	if len(c.Listeners) == 0 {
		return f.errorf("listeners", "required: at least one listener")
	}
	names := map[string]bool{}
	for i, l := range c.Listeners {
		at := fmt.Sprintf("listeners[%d]", i)
		if l.Name == "" || names[l.Name] {
			return f.errorf(at+".name", "every listener needs a name of its own")
		}
		names[l.Name] = true
		zone, err := envelope.ParseZone(l.Zone)
		if err != nil {
			return f.errorf(at+".zone", "%v%s", err, suggest(l.Zone, []string{"internet", "internet-segment", "lgwan"}))
		}
		if len(l.Listen) == 0 {
			return f.errorf(at+".listen", "required: at least one ADDRESS:PORT")
		}
		for j, a := range l.Listen {
			if _, _, err := net.SplitHostPort(a); err != nil {
				return f.errorf(fmt.Sprintf("%s.listen[%d]", at, j), "want ADDRESS:PORT, got %q", a)
			}
		}
		if (l.TLS.Cert == "") != (l.TLS.Key == "") {
			return f.errorf(at+".tls", "cert and key go together")
		}
		for j, n := range l.Networks {
			if _, err := parsePrefix(n); err != nil {
				return f.errorf(fmt.Sprintf("%s.networks[%d]", at, j), "%v", err)
			}
		}
		for j, n := range l.Peers {
			if _, err := parsePrefix(n); err != nil {
				return f.errorf(fmt.Sprintf("%s.peers[%d]", at, j), "%v", err)
			}
		}
		for j, n := range l.Proxy {
			p, err := parsePrefix(n)
			if err != nil {
				return f.errorf(fmt.Sprintf("%s.proxy[%d]", at, j), "%v", err)
			}
			// Whoever connects from there may say that he is anybody.
			if hosts := p.Addr().BitLen() - p.Bits(); hosts > 8 {
				return f.errorf(fmt.Sprintf("%s.proxy[%d]", at, j), "%s is too wide: name the balancers, at most a /%d", n, p.Addr().BitLen()-8)
			}
		}
		if zone != envelope.Internet && len(l.Networks) == 0 {
			return f.errorf(at+".networks", "a listener of zone %s knows its peers by their networks; name them", l.Zone)
		}
		if l.Accepts != "" && l.Accepts != "tenants" {
			return f.errorf(at+".accepts", "want tenants or nothing, got %q", l.Accepts)
		}
	}
	return nil
}

// parsePrefix reads a network or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no network such as 10.1.0.0/16", s)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%q has bits beyond its length; did you mean %s?", s, p.Masked())
	}
	return p, nil
}

func parsePrefixes(ss []string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		if p, err := parsePrefix(s); err == nil { // checked by checkListeners
			ps = append(ps, p)
		}
	}
	return ps
}

func (c *config) rules(f *configFile) (*policy.Rules, error) {
	r := &policy.Rules{Profiles: map[envelope.ProfileID]policy.Profile{}, Limits: c.budget()}
	ps := c.Profiles
	if len(ps) == 0 {
		ps = []profileConfig{{Name: "default"}}
	}
	for i, p := range ps {
		at := fmt.Sprintf("profiles[%d]", i)
		if p.Name == "" {
			return nil, f.errorf(at+".name", "every profile needs a name")
		}
		if _, ok := r.Profiles[envelope.ProfileID(p.Name)]; ok {
			return nil, f.errorf(at+".name", "profile %q stands twice", p.Name)
		}
		out := policy.Profile{Name: p.Name, Rules: map[sanitize.Class]sanitize.Rule{}, HoldMessage: map[sanitize.Class]bool{}, Language: "ja"}
		// A forwarded mail is walked like the mail itself; classes that nothing
		// treats so far hold, which is the zero Rule.
		out.Rules[sanitize.ClassMessage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		out.Rules[sanitize.ClassCSV] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		for _, k := range []struct {
			key     string
			class   sanitize.Class
			got     steps
			first   string   // default
			allowed []string // of single words; a list may have rebuild or text, and hold
		}{
			{"office", sanitize.ClassOffice, p.Office, "rebuild", []string{"rebuild", "convert", "flatten", "text", "hold", "remove"}},
			{"legacy_office", sanitize.ClassLegacyOffice, p.Legacy, "rebuild", []string{"rebuild", "convert", "flatten", "text", "hold", "remove"}},
			{"pdf", sanitize.ClassPDF, p.PDF, "rebuild", []string{"rebuild", "flatten", "text", "hold", "remove"}},
			{"image", sanitize.ClassImage, p.Image, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"html", sanitize.ClassHTML, p.HTML, "text", []string{"rebuild", "text", "hold", "remove"}},
			{"text", sanitize.ClassText, p.Text, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"calendar", sanitize.ClassCalendar, p.Calendar, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"archive", sanitize.ClassArchive, p.Archive, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"executable", sanitize.ClassExecutable, p.Executable, "hold", []string{"hold", "remove"}},
			{"encrypted", sanitize.ClassEncrypted, p.Encrypted, "hold", []string{"hold", "remove"}},
			{"ichitaro", sanitize.ClassIchitaro, p.Ichitaro, "hold", []string{"text", "hold", "remove"}},
			{"unknown", sanitize.ClassUnknown, p.Unknown, "hold", []string{"hold", "remove"}},
		} {
			if len(k.got) == 0 {
				k.got = steps{k.first, following}
			}
			rule, err := ladder(k.got, k.allowed, k.class)
			if err != nil {
				return nil, f.errorf(at+"."+k.key, "%v", err)
			}
			if k.class == sanitize.ClassHTML && k.got[0] == "rebuild" {
				// HTML is the one class that can be treated in two ways.
				rule.Steps = []sanitize.Mode{sanitize.Rebuild, sanitize.Text}
			}
			out.Rules[k.class] = rule
		}
		switch p.Body {
		case "", "text":
		case "html":
			out.Rules[sanitize.ClassBody] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		default:
			return nil, f.errorf(at+".body", "want text or html, got %q%s", p.Body, suggest(p.Body, []string{"text", "html"}))
		}
		switch p.URLs {
		case "", "keep":
		case "defang":
			out.URLs = sanitize.DefangURLs
		case "remove":
			out.URLs = sanitize.RemoveURLs
		default:
			return nil, f.errorf(at+".urls", "want keep, defang or remove, got %q%s", p.URLs, suggest(p.URLs, []string{"keep", "defang", "remove"}))
		}
		switch p.Comments {
		case "", "keep":
		case "remove":
			out.Comments = true
		default:
			return nil, f.errorf(at+".comments", "want keep or remove, got %q%s", p.Comments, suggest(p.Comments, []string{"keep", "remove"}))
		}
		switch p.Changes {
		case "", "keep":
		case "accept":
			out.Accept = true
		default:
			return nil, f.errorf(at+".changes", "want keep or accept, got %q%s", p.Changes, suggest(p.Changes, []string{"keep", "accept"}))
		}
		switch p.Formulas {
		case "", "keep":
		case "values":
			out.Values = true
		default:
			return nil, f.errorf(at+".formulas", "want keep or values, got %q%s", p.Formulas, suggest(p.Formulas, []string{"keep", "values"}))
		}
		switch p.QR {
		case "", "show":
			out.Codes = true
		case "hold":
			out.Codes, out.HoldCodes = true, true
		case "off":
		default:
			return nil, f.errorf(at+".qr", "want show, hold or off, got %q%s", p.QR, suggest(p.QR, []string{"show", "hold", "off"}))
		}
		switch p.Pages {
		case "", "usual":
		case "small":
			out.SmallPages = true
		default:
			return nil, f.errorf(at+".pages", "want usual or small, got %q%s", p.Pages, suggest(p.Pages, []string{"usual", "small"}))
		}
		switch p.CSV {
		case "", "neutralise":
		case "keep":
			out.KeepCSV = true
		default:
			return nil, f.errorf(at+".csv", "want neutralise or keep, got %q%s", p.CSV, suggest(p.CSV, []string{"neutralise", "keep"}))
		}
		switch p.Language {
		case "":
		case "ja", "en", "ja+en":
			out.Language = p.Language
		default:
			return nil, f.errorf(at+".language", "want ja, en or ja+en, got %q", p.Language)
		}
		for _, n := range []struct{ language, name string }{{"ja", p.Notices.JA}, {"en", p.Notices.EN}} {
			if n.name == "" {
				continue
			}
			own, err := f.wording(n.name)
			if err != nil {
				return nil, f.errorf(at+".notices."+n.language, "%v", err)
			}
			if out.Wording == nil {
				out.Wording = map[string]map[string]string{}
			}
			out.Wording[n.language] = own
		}
		hold := p.HoldMessage
		if hold == nil {
			hold = []string{"executable"}
		}
		for j, h := range hold {
			switch sanitize.Class(h) {
			case sanitize.ClassExecutable, sanitize.ClassEncrypted, sanitize.ClassUnknown:
				out.HoldMessage[sanitize.Class(h)] = true
			default:
				return nil, f.errorf(fmt.Sprintf("%s.hold_message[%d]", at, j), "want executable, encrypted or unknown, got %q (ambiguous and tampered always hold)", h)
			}
		}
		r.Profiles[envelope.ProfileID(p.Name)] = out
	}
	return r, nil
}

// wording reads a file of words for notices and tries it out. What is wrong is
// said with the file's own name and line.
func (f *configFile) wording(name string) (notice.Wording, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.name), name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	own, err := notice.ParseWording(b)
	var wrong *notice.WordingError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s:%d: %s", name, wrong.Line, wrong.Text)
	}
	return own, err
}

// following stands behind a step that was written as a word: it names the first,
// and those behind it follow.
const following = "..."

// ladder reads the steps of a class. A word names the first step; a list names
// exactly the steps allowed; remove and hold stand alone (hold may end a list).
func ladder(got steps, allowed []string, c sanitize.Class) (sanitize.Rule, error) {
	var r sanitize.Rule
	word := len(got) == 2 && got[1] == following
	if word {
		got = got[:1]
	}
	// Where there is more than one step, each has its own name.
	several := c == sanitize.ClassOffice || c == sanitize.ClassLegacyOffice || c == sanitize.ClassPDF || c == sanitize.ClassIchitaro
	for i, w := range got {
		if w == "strip" {
			w = "rebuild" // the accepted old name
		}
		if !slices.Contains(allowed, w) {
			if slices.Contains([]string{"rebuild", "convert", "flatten", "text", "hold", "remove"}, w) {
				return r, fmt.Errorf("%s is not built for this class; allowed here: %s", w, strings.Join(allowed, ", "))
			}
			return r, fmt.Errorf("unknown step %q%s", w, suggest(w, allowed))
		}
		if m := step(w); several && m != 0 {
			switch {
			case word:
				for ; m <= sanitize.Text; m++ {
					r.Steps = append(r.Steps, m)
				}
			case len(r.Steps) > 0 && r.Steps[len(r.Steps)-1] >= m:
				return r, fmt.Errorf("%s stands out of its order: rebuild, convert, flatten, text, hold", w)
			default:
				r.Steps = append(r.Steps, m)
			}
			continue
		}
		switch w {
		case "rebuild", "text":
			// A class has one way of being treated so far; the session asks for
			// it by the name Rebuild, and the report names the step it was.
			r.Steps = append(r.Steps, sanitize.Rebuild)
		case "remove":
			if len(got) > 1 {
				return r, errors.New("remove stands alone")
			}
			r.Drop = true
		case "hold":
			if i != len(got)-1 {
				return r, errors.New("hold is the last step")
			}
		}
	}
	return r, nil
}

// step is the step of the ladder that a word names; zero if it names none.
func step(w string) sanitize.Mode {
	for m := sanitize.Rebuild; m <= sanitize.Text; m++ {
		if m.String() == w {
			return m
		}
	}
	return 0
}

func (c *config) directory(f *configFile) (*tenant.Directory, error) {
	if len(c.Tenants) == 0 {
		return nil, f.errorf("tenants", "required: at least one tenant")
	}
	var ts []tenant.Tenant
	for i, t := range c.Tenants {
		at := fmt.Sprintf("tenants[%d]", i)
		out := tenant.Tenant{ID: envelope.TenantID(t.ID), Name: t.Name, Profile: envelope.ProfileID(t.Profile)}
		if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(t.ID) {
			return nil, f.errorf(at+".id", "want lower-case letters, digits and hyphens, got %q", t.ID)
		}
		if len(t.Domains) == 0 {
			return nil, f.errorf(at+".domains", "required: at least one domain")
		}
		for j, d := range t.Domains {
			d = strings.ToLower(d)
			if !hostnamePattern.MatchString(d) || !strings.Contains(d, ".") {
				return nil, f.errorf(fmt.Sprintf("%s.domains[%d]", at, j), "%q is no domain", d)
			}
			out.Domains = append(out.Domains, d)
		}
		if out.Profile == "" {
			out.Profile = "default"
		}
		if _, err := c.findProfile(string(out.Profile)); err != nil {
			return nil, f.errorf(at+".profile", "%v", err)
		}
		for j, a := range t.Administrators {
			addr, err := envelope.ParseAddress(a)
			if err != nil {
				return nil, f.errorf(fmt.Sprintf("%s.administrators[%d]", at, j), "%v", err)
			}
			out.Administrators = append(out.Administrators, addr)
		}
		var wrong int
		var err error
		if out.TrustedSenders, wrong, err = trusted(t.TrustedSenders); err != nil {
			return nil, f.errorf(fmt.Sprintf("%s.trusted_senders[%d]", at, wrong), "%v", err)
		}
		switch {
		case t.Recipients.File != "" && t.Recipients.Accept != "":
			return nil, f.errorf(at+".recipients", "accept and file exclude each other")
		case t.Recipients.File != "":
			name := t.Recipients.File
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(f.name), name)
			}
			list, err := readRecipients(name, out.Domains)
			if err != nil {
				return nil, f.errorf(at+".recipients.file", "%v", err)
			}
			out.Recipients, out.RecipientsFile = tenant.FixedRecipients(list), name
		case t.Recipients.Accept == "any" || t.Recipients.Accept == "":
			// Who is reached then says the imported list, when there is one.
		default:
			return nil, f.errorf(at+".recipients.accept", "want any, got %q", t.Recipients.Accept)
		}
		ts = append(ts, out)
	}
	d, err := tenant.New(ts)
	if err != nil {
		return nil, f.errorf("tenants", "%v", err)
	}
	return d, nil
}

func (c *config) findProfile(name string) (profileConfig, error) {
	var names []string
	for _, p := range c.Profiles {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if len(c.Profiles) == 0 && name == "default" {
		return profileConfig{Name: name}, nil
	}
	return profileConfig{}, fmt.Errorf("profile %q does not exist%s", name, suggest(name, names))
}

// readRecipients reads a list of recipients, tenant.ReadList's form. Its error
// names file and line of the first thing that is wrong, and says how many more
// there are.
func readRecipients(name string, domains []string) (*tenant.List, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list, err := tenant.ReadList(file, domains)
	var fs tenant.Faults
	if !errors.As(err, &fs) {
		return list, err
	}
	first := fs[0]
	at := name
	if first.Line > 0 {
		at, first.Line = fmt.Sprintf("%s:%d", name, first.Line), 0
	}
	if more := len(fs) - 1; more > 0 {
		return nil, fmt.Errorf("%s: %w (and %d more)", at, first, more)
	}
	return nil, fmt.Errorf("%s: %w", at, first)
}

func (c *config) table(f *configFile) (*routing.Table, error) {
	if len(c.Hops) == 0 {
		return nil, f.errorf("hops", "required: at least one hop")
	}
	if len(c.Routes) == 0 {
		return nil, f.errorf("routes", "required: at least one route")
	}
	var hops []routing.Hop
	var hopNames []string
	for i, h := range c.Hops {
		at := fmt.Sprintf("hops[%d]", i)
		n, err := envelope.ParseNetwork(h.Network)
		if err != nil {
			return nil, f.errorf(at+".network", "%v%s", err, suggest(h.Network, []string{"lgwan", "local", "internet"}))
		}
		for j, host := range h.Hosts {
			if _, _, err := net.SplitHostPort(host); err != nil {
				return nil, f.errorf(fmt.Sprintf("%s.hosts[%d]", at, j), "want HOST:PORT, got %q", host)
			}
		}
		switch h.TLS {
		case "", "opportunistic", "require", "off":
		default:
			return nil, f.errorf(at+".tls", "want opportunistic, require or off, got %q", h.TLS)
		}
		hops = append(hops, routing.Hop{Name: h.Name, Network: n, Hosts: h.Hosts, MX: h.MX, TLS: h.TLS})
		hopNames = append(hopNames, h.Name)
	}
	var routes []routing.Route
	for i, r := range c.Routes {
		if !slices.Contains(hopNames, r.Hop) {
			return nil, f.errorf(fmt.Sprintf("routes[%d].hop", i), "hop %q does not exist%s", r.Hop, suggest(r.Hop, hopNames))
		}
		routes = append(routes, routing.Route{Domain: r.Domain, Subdomains: r.Subdomains, Hop: r.Hop})
	}
	var domains []string
	for _, t := range c.Tenants {
		domains = append(domains, t.Domains...)
	}
	// Routes are added one by one, so that the error names the line of the one
	// that is wrong.
	for i := range routes {
		if _, err := routing.New(hops, routes[:i+1], c.LGWAN.Domains, c.LGWAN.Except, nil); err != nil {
			return nil, f.errorf(fmt.Sprintf("routes[%d]", i), "%v", err)
		}
	}
	t, err := routing.New(hops, routes, c.LGWAN.Domains, c.LGWAN.Except, domains)
	if err != nil {
		return nil, f.errorf("routes", "%v", err)
	}
	return t, nil
}

// limits returns what smtpd enforces.
func (c *config) limits() smtpd.Limits {
	v := c.values()
	all := v.Int("limits.connections")
	share := func(key string) int { return max(all*v.Int(key)/100, 1) }
	return smtpd.Limits{
		Connections:           all,
		ConnectionsPerAddress: v.Int("limits.connections_per_address"),
		NearCap:               share("limits.near_cap"),
		ConnectionsPerNetwork: share("limits.connections_per_network"),
		StressAt:              share("limits.stress"),
		GreetingPause:         v.Time("limits.greeting_pause"),
		SeenFor:               v.Time("limits.greeting_seen"),
		CommandLine:           v.Int("limits.command_line"),
		Command:               v.Time("limits.command_time"),
		CommandStress:         v.Time("limits.command_time_stress"),
		Handshake:             v.Time("limits.handshake_time"),
		HandshakeStress:       v.Time("limits.handshake_time_stress"),
		Data:                  v.Time("limits.data_time"),
		DataRate:              v.Get("limits.data_rate"),
		DataWindow:            v.Time("limits.data_window"),
		DataWindowStress:      v.Time("limits.data_window_stress"),
		DataLine:              v.Int("limits.data_line"),
		MessageSize:           v.Get("max_message_size"),
		Recipients:            v.Int("limits.recipients_per_message"),
		SlowErrors:            v.Int("limits.errors_slow"),
		MaxErrors:             v.Int("limits.errors_close"),
		ErrorDelay:            v.Time("limits.error_delay"),
		Junk:                  v.Int("limits.commands_without_message"),

		MessagesPerMinutePerAddress: v.Int("limits.messages_per_minute_per_address"),
		MessagesPerMinutePerTenant:  v.Int("limits.messages_per_minute_per_tenant"),
		MessagesPerMinutePerSender:  v.Int("limits.messages_per_minute_per_sender"),
		VisibleRecipients:           v.Int("limits.visible_recipients"),
		HeldPercentPerTenant:        v.Int("limits.held_bytes_per_tenant"),
		HeldFor:                     v.Time("quarantine.retention"),
		HeldBytesPerPeerHour:        v.Get("limits.held_bytes_per_peer_hour"),
		Received:                    v.Int("limits.received_fields"),
		OwnID:                       v.Int("limits.own_received"),
	}
}

// budget returns what one message may spend in the worker.
func (c *config) budget() sanitize.Limits {
	v := c.values()
	l := sanitize.DefaultLimits()
	l.Expanded = v.Get("limits.expanded_bytes")
	l.RatioFloor = v.Get("limits.ratio_floor")
	l.Ratio = v.Get("limits.expansion_ratio")
	l.Depth = v.Int("limits.containers")
	l.Entries = v.Int("limits.archive_entries")
	l.XMLDepth = v.Int("limits.xml_depth")
	l.MIMEDepth = v.Int("limits.mime_depth")
	l.MIMEParts = v.Int("limits.mime_parts")
	l.HeaderBytes = v.Int("limits.header_bytes")
	l.HeaderFields = v.Int("limits.header_fields")
	l.PicturePixels = v.Get("limits.picture_pixels")
	l.Pixels = v.Get("limits.message_pixels")
	l.NameBytes = v.Int("limits.file_name_bytes")
	return l
}
