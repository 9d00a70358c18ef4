package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho/delivery"
	"sekisho/internal/limit"
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
	Listeners      []listenerConfig  `mapstructure:"listeners"`
	MaxMessageSize byteSize          `mapstructure:"max_message_size"`
	Limits         limitValues       `mapstructure:"limits"`
	Tenants        []tenantConfig    `mapstructure:"tenants"`
	Profiles       []profileConfig   `mapstructure:"profiles"`
	Converters     []converterConfig `mapstructure:"converters"`
	Hops           []hopConfig       `mapstructure:"hops"`
	Routes         []routeConfig     `mapstructure:"routes"`
	LGWAN          struct {
		Domains []string `mapstructure:"domains"`
		Except  []string `mapstructure:"except"`
	} `mapstructure:"lgwan"`
	Resolver   string `mapstructure:"resolver"`
	DANE       string `mapstructure:"dane"` // off, on
	TLSReports struct {
		From         string `mapstructure:"from"`
		Organization string `mapstructure:"organization"`
		Contact      string `mapstructure:"contact"`
	} `mapstructure:"tls_reports"`
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
	Name       string `mapstructure:"name"`
	Body       string `mapstructure:"body"`
	URLs       string `mapstructure:"urls"`
	Formulas   string `mapstructure:"formulas"`
	Embedded   string `mapstructure:"embedded"`
	QR         string `mapstructure:"qr"`
	Pages      string `mapstructure:"pages"`
	Office     steps  `mapstructure:"office"`
	PDF        steps  `mapstructure:"pdf"`
	Image      steps  `mapstructure:"image"`
	ImageKinds struct {
		HEIC  string `mapstructure:"heic"`
		AVIF  string `mapstructure:"avif"`
		JXL   string `mapstructure:"jxl"`
		PSD   string `mapstructure:"psd"`
		JP2   string `mapstructure:"jp2"`
		EPS   string `mapstructure:"eps"`
		DICOM string `mapstructure:"dicom"`
		EMF   string `mapstructure:"emf"`
		WMF   string `mapstructure:"wmf"`
	} `mapstructure:"image_kinds"`
	Drawings    string   `mapstructure:"drawings"`
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
	Converters  []string `mapstructure:"converters"`
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

// settings is the configuration in the terms of the rooms: what can be swapped
// while the gateway runs.
type settings struct {
	rules      *policy.Rules
	table      *routing.Table
	named      *tenant.Directory // as the file has it
	directory  *tenant.Directory // with the recipients that were imported
	senders    *smtpd.SenderRules
	keys       []delivery.Key
	reporter   *delivery.Reporter
	scanners   []*scan.Scanner
	config     *config
	sum        string // of the file, SHA-256
	converters []sanitize.Converter
	listeners  []smtpd.ListenerConfig
	certs      []*certificate // of the listeners
	warnings   []string
}

// settings checks what the types cannot say and builds the values of the rooms.
func (c *config) settings(f *configFile) (*settings, error) {
	s := &settings{config: c, sum: f.sum}
	if c.Hostname != "" && !fullName(c.Hostname) {
		return nil, f.errorf("hostname", "%q is no full host name, such as mx.town.example.lg.jp", c.Hostname)
	}
	if c.Hostname == "" {
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
	const held = "quarantine.retention"
	if r, ok := limit.Find(held); !ok || int64(c.Quarantine.Retention) < r.Least {
		return nil, f.errorf(held, "what is held would end at once; write for instance 14d")
	}
	if c.Quarantine.Retention < duration(24*time.Hour) {
		s.warnings = append(s.warnings, "quarantine.retention is under a day: what is held ends before somebody can look at it")
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return nil, f.errorf("log.format", "want json or text, got %q", c.Log.Format)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return nil, f.errorf("log.level", "want debug, info, warn or error, got %q", c.Log.Level)
	}
	if c.Metrics.Listen != "" {
		if !listens(c.Metrics.Listen) {
			return nil, f.errorf("metrics.listen", "want ADDRESS:PORT, got %q", c.Metrics.Listen)
		}
		if reached(c.Metrics.Listen) {
			s.warnings = append(s.warnings, "metrics.listen is reached from other machines, without TLS or login")
		}
	}
	if err := c.checkListeners(f); err != nil {
		return nil, err
	}
	var err error
	if s.converters, err = c.converters(f); err != nil {
		return nil, err
	}
	s.warnings = append(s.warnings, absentConverters(s.converters)...)
	if s.rules, err = c.rules(f, s.converters); err != nil {
		return nil, err
	}
	if s.named, err = c.directory(f); err != nil {
		return nil, err
	}
	s.directory = s.named
	if s.table, err = c.table(f); err != nil {
		return nil, err
	}
	if len(c.LGWAN.Domains) == 0 {
		s.warnings = append(s.warnings, "lgwan.domains is empty: no name of LGWAN is kept from the internet")
	}
	if s.senders, err = c.senderRules(f, s); err != nil {
		return nil, err
	}
	if s.keys, err = c.signingKeys(f, s.directory); err != nil {
		return nil, err
	}
	if s.reporter, err = c.reporter(f, s); err != nil {
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
	for _, name := range c.inClear() {
		s.warnings = append(s.warnings, "listener "+name+" has no certificate: what comes from the internet cannot be encrypted on its way")
	}
	if c.Store.KeyFile == "" {
		s.warnings = append(s.warnings, "store.key_file is in data_dir: keep a copy apart from the backup, a lost key file is lost mail")
	}
	return s, nil
}

// following stands behind a step that was written as a word: it names the first,
// and those behind it follow.
const following = "..."

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
