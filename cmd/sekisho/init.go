package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sekisho/internal/limit"
	"sekisho/sanitize"
)

// saidOf asks the daemon for what it would say of a configuration. There is one
// reader of the configuration, and what it says here is what it says at start.
// refused says that the file is wrong.
func (u *ui) saidOf(ctx context.Context, file string) (said []string, refused bool, err error) {
	daemon, err := u.beside("sekishod")
	if err != nil {
		return nil, false, err
	}
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, daemon, "--config", file, "--check")
	c.Stderr = &stderr
	err = c.Run()
	for _, l := range strings.Split(stderr.String(), "\n") {
		if l = strings.TrimSpace(strings.TrimPrefix(l, "sekishod: ")); l != "" {
			said = append(said, l)
		}
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == exitUsage:
		return said, true, nil
	case err != nil:
		return nil, false, u.failure("%s を実行できません: %s", "%s does not run: %s", daemon, strings.Join(append(said, err.Error()), "; "))
	}
	return said, false, nil
}

// standardConfig is where the unit looks for the configuration.
const standardConfig = "/etc/sekisho/sekisho.yaml"

// limitLine is a limit as `sekishod --limits` prints it, and as --json does.
type limitLine struct {
	Key     string `json:"key"`
	Section string `json:"section"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Unit    string `json:"unit"`
	What    string `json:"what"`
	WhatJa  string `json:"what_ja"`
	Why     string `json:"why"`
	WhyJa   string `json:"why_ja"`
	Where   string `json:"where"`
}

func limitsCommand(u *ui) *cobra.Command {
	c := command(u, "limits [FILE]", text{"すべての上限を、値と理由とともに表示する", "print every limit with its key, value and reason"},
		text{
			"FILE は設定ファイルです。省くと " + standardConfig + " を、それもなければ\n既定値を表示します。「固定」とあるものは設定できません。",
			"FILE is a configuration. Without one " + standardConfig + " is read, and\nwithout that the defaults are shown. What is fixed has no setting.",
		}, "012", func(cmd *cobra.Command, args []string) error {
			lines, err := u.limits(cmd.Context(), args)
			if err != nil {
				return err
			}
			section := ""
			for _, l := range lines {
				if u.json {
					if err := u.object(l); err != nil {
						return err
					}
					continue
				}
				if l.Section != section {
					if section != "" {
						u.line("")
					}
					section = l.Section
					u.line("%s", safe(u.tr(limit.SectionJa(section), section)))
				}
				value := l.Value
				switch {
				case l.Unit == "fixed":
					value += u.tr("（固定）", " (fixed)")
				case l.Value != l.Default:
					value += u.tr("（既定値 ", " (default ") + l.Default + u.tr("）", ")")
				}
				u.line("  %s  %s", pad(safe(l.Key), 42), safe(value))
				u.line("      %s", safe(u.tr(l.WhatJa, l.What)))
				u.line("      %s", safe(u.tr(l.WhyJa, l.Why)))
			}
			return nil
		})
	c.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return u.usage("%s に指定できるファイルは一つです", "%s wants one file at most", cmd.CommandPath())
		}
		return nil
	}
	example(c, "sekisho config limits /etc/sekisho/sekisho.yaml")
	return c
}

// limits are those of a configuration, or the defaults when there is none.
func (u *ui) limits(ctx context.Context, args []string) ([]limitLine, error) {
	file := standardConfig
	if len(args) == 1 {
		file = args[0]
	} else if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		var lines []limitLine
		for _, r := range limit.Rows() {
			v := r.Value(r.Default)
			lines = append(lines, limitLine{r.Key, r.Section, v, v, r.Unit.String(), r.What, r.WhatJa, r.Why, r.WhyJa, r.Where})
		}
		return lines, nil
	}
	return printed[limitLine](ctx, u, file, "--limits")
}

// converters are those of a configuration, with their commands.
func (u *ui) converters(ctx context.Context, file string) ([]sanitize.Converter, error) {
	return printed[sanitize.Converter](ctx, u, file, "--converters")
}

// printed is what sekishod prints of a configuration, a line for each.
func printed[T any](ctx context.Context, u *ui, file, flag string) ([]T, error) {
	said, refused, err := u.saidOf(ctx, file)
	if err != nil {
		return nil, err
	}
	if refused {
		return nil, u.refusal(said)
	}
	daemon, err := u.beside("sekishod")
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, daemon, "--config", file, flag).Output()
	if err != nil {
		return nil, u.failure("%s を実行できません: %s", "%s does not run: %s", daemon, err.Error())
	}
	var lines []T
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l T
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return lines, nil
		} else if err != nil {
			return nil, u.failure("%s の出力を読めません: %s", "cannot read what %s prints: %s", daemon, err.Error())
		}
		lines = append(lines, l)
	}
}

// refusal says what is wrong with a configuration.
func (u *ui) refusal(said []string) error {
	for _, l := range said {
		u.say("%s", "%s", safe(u.complaint(l)))
	}
	return ended(exitUsage)
}

// A question is one of the six that a first configuration needs.
type question struct {
	flag, arg string
	ask       text // with an example
	help      text // of the option
	optional  bool // an empty answer is one
	check     func(string) bool
	wrong     text
	answer    string
}

var (
	hostPattern  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$`)
	emailPattern = regexp.MustCompile(`^[^@\s"',{}\[\]]+@[A-Za-z0-9.-]+\.[A-Za-z0-9]+$`)
)

func isHost(s string) bool { return len(s) < 254 && hostPattern.MatchString(s) }

func isServer(s string) bool {
	host, port, err := net.SplitHostPort(withPort(s))
	if err != nil || port == "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err == nil || isHost(host)
}

// withPort adds the port of mail where none was given.
func withPort(s string) string {
	if _, _, err := net.SplitHostPort(s); err == nil {
		return s
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return "[" + s + "]:25"
	}
	return s + ":25"
}

func questions() []*question {
	return []*question{
		{flag: "hostname", arg: "NAME", check: isHost,
			ask:   text{"このゲートウェイの完全な名前（例: mx.town.example.lg.jp）", "full name of this gateway, such as mx.town.example.lg.jp"},
			help:  text{"このゲートウェイの完全な名前", "full name of this gateway"},
			wrong: text{"は完全な名前ではありません", "is no full name of a host"}},
		{flag: "name", arg: "NAME", check: func(s string) bool { return s != "" && !strings.ContainsAny(s, "\r\n\"") && len(s) < 200 },
			ask:   text{"団体の名称（例: 例示町）", "name of the body, such as Reiji Town"},
			help:  text{"団体の名称", "name of the body"},
			wrong: text{"は名称に使えません", "cannot be a name"}},
		{flag: "domains", arg: "DOMAINS", check: func(s string) bool {
			for _, d := range list(s) {
				if !isHost(d) {
					return false
				}
			}
			return len(list(s)) > 0
		},
			ask:   text{"団体のメールのドメイン。複数なら空白で区切る（例: town.example.lg.jp）", "its mail domains, with a space between, such as town.example.lg.jp"},
			help:  text{"団体のメールのドメイン（空白またはコンマ区切り）", "its mail domains, with spaces or commas between"},
			wrong: text{"はドメインではありません", "is no domain"}},
		{flag: "mail-server", arg: "HOST[:PORT]", check: isServer,
			ask:   text{"庁内のメールサーバーのアドレス（例: 10.1.0.10:25）", "address of the mail server inside, such as 10.1.0.10:25"},
			help:  text{"庁内のメールサーバー", "the mail server inside"},
			wrong: text{"はサーバーのアドレスではありません", "is no address of a server"}},
		{flag: "lgwan-relay", arg: "HOST[:PORT]", optional: true, check: isServer,
			ask:   text{"LGWAN へ中継するサーバー。なければ空のまま（例: 10.9.0.1:25）", "relay into LGWAN, empty if there is none, such as 10.9.0.1:25"},
			help:  text{"LGWAN へ中継するサーバー。なければ \"\"", "relay into LGWAN; \"\" if there is none"},
			wrong: text{"はサーバーのアドレスではありません", "is no address of a server"}},
		{flag: "administrator", arg: "ADDRESS", check: emailPattern.MatchString,
			ask:   text{"警報と不達を受け取る管理者のアドレス（例: joho@town.example.lg.jp）", "who gets alarms and failures, such as joho@town.example.lg.jp"},
			help:  text{"警報と不達を受け取る管理者のアドレス", "who gets alarms and failures"},
			wrong: text{"はアドレスではありません", "is no address"}},
	}
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '　' || r == '、' })
}

func initCommand(u *ui) *cobra.Command {
	var out, data string
	qs := questions()
	c := command(u, "init [--out FILE] [OPTION]...", text{"最初の設定ファイルを作る", "write a first configuration"},
		text{
			"六つの質問に答えると、config check に合格する設定ファイルを書きます。端末から\n" +
				"呼んだときに尋ねます。オプションで答えたものは尋ねません。すでにあるファイルは\n" +
				"上書きしません。",
			"Asks six questions and writes a configuration that passes config check. It asks\n" +
				"on a terminal only, and not what an option answers. A file that is there is\n" +
				"never overwritten.",
		}, "012", func(cmd *cobra.Command, _ []string) error {
			in := io.Reader(strings.NewReader(""))
			_, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
			terminal := err == nil
			if terminal {
				in = os.Stdin
			}
			if _, err := os.Lstat(out); err == nil {
				return u.failure("%s はすでにあります。上書きはしません", "%s is there already and is not overwritten", out)
			}
			if err := u.interview(qs, func(flag string) bool { return cmd.Flags().Changed(flag) }, in, terminal); err != nil {
				return err
			}
			return u.writeConfig(cmd.Context(), out, u.configuration(qs, data))
		})
	c.Args = exactly(u, 0, text{})
	c.Flags().StringVar(&out, "out", "sekisho.yaml", u.tr("書き出すファイル", "the file to write"))
	c.Flags().StringVar(&data, "data-dir", "/var/lib/sekisho", u.tr("データを置く場所", "where the data lies"))
	argument(c.Flags(), "out", "FILE")
	argument(c.Flags(), "data-dir", "DIR")
	for _, q := range qs {
		c.Flags().StringVar(&q.answer, q.flag, "", u.pick(q.help))
		argument(c.Flags(), q.flag, q.arg)
	}
	c.Flags().SortFlags = false
	example(c, "sekisho init --out /etc/sekisho/sekisho.yaml")
	return c
}

// interview completes the answers: from the options, and from in for what they
// leave open. Without somebody to ask it says what is missing.
func (u *ui) interview(qs []*question, given func(flag string) bool, in io.Reader, terminal bool) error {
	r := bufio.NewReader(in)
	var missing []string
	for i, q := range qs {
		if given(q.flag) {
			q.answer = strings.TrimSpace(q.answer)
			if q.answer == "" && q.optional {
				continue
			}
			if !q.check(q.answer) {
				return &told{kind: errUsage, text: fmt.Sprintf("--%s: %s %s", q.flag, quote(u.ja, q.answer), u.pick(q.wrong))}
			}
			continue
		}
		if !terminal {
			missing = append(missing, "--"+q.flag)
			continue
		}
		for {
			fmt.Fprintf(u.err, "%d/%d  %s: ", i+1, len(qs), u.pick(q.ask))
			line, err := r.ReadString('\n')
			q.answer = strings.TrimSpace(line)
			if q.answer == "" && q.optional && err == nil || q.check(q.answer) {
				break
			}
			if err != nil {
				fmt.Fprintln(u.err)
				return u.failure("途中で終わりました。何も書いていません", "it ended half-way; nothing was written")
			}
			u.hint(safe(quote(u.ja, q.answer)) + " " + u.pick(q.wrong))
		}
	}
	if len(missing) > 0 {
		return u.usage("端末がないため尋ねられません。次のオプションが必要です: %s", "there is no terminal to ask on; these options are needed: %s", strings.Join(missing, ", "))
	}
	return nil
}

func quote(ja bool, s string) string {
	if ja {
		return "「" + s + "」"
	}
	return fmt.Sprintf("%q", s)
}

// configuration is the file that the answers make.
func (u *ui) configuration(qs []*question, data string) string {
	a := map[string]string{}
	for _, q := range qs {
		a[q.flag] = q.answer
	}
	domains := list(strings.ToLower(a["domains"]))
	server := withPort(a["mail-server"])
	networks, listen := `"127.0.0.0/8"`, "127.0.0.1:10025"
	host, _, _ := net.SplitHostPort(server)
	if ip, err := netip.ParseAddr(host); err == nil {
		networks, listen = fmt.Sprintf("%q", netip.PrefixFrom(ip, ip.BitLen())), ":10025"
	}
	id, _, _ := strings.Cut(domains[0], ".")
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# %s", u.tr("sekisho init が作った設定です。すべてのキーと既定値: docs/configuration.md", "Made by sekisho init. Every key and its default: docs/configuration.md"))
	line("hostname: %s", strings.ToLower(a["hostname"]))
	line("data_dir: %q", data)
	line("# store: { key_file: /etc/sekisho/site.key }    # %s", u.tr("鍵はバックアップとは別の場所へ", "keep the key off the backup"))
	line("listeners:")
	line("  # %s", u.tr("証明書があれば、この行に tls: { cert: ..., key: ... } を加えてください", "with a certificate, add  tls: { cert: ..., key: ... }  to this line"))
	line(`  - { name: mx, zone: internet, listen: [":25"] }`)
	line("  # %s", u.tr("庁内のメールサーバーが外へ送るときの受け口", "where the mail server inside hands over what goes out"))
	line("  - { name: inside, zone: lgwan, listen: [%q], networks: [%s] }", listen, networks)
	line("tenants:")
	line("  - id: %s", id)
	line("    name: %q", a["name"])
	line("    domains: [%s]", strings.Join(domains, ", "))
	line("    # %s", u.tr("起動後に、宛先の一覧を取り込んでください: sekisho recipients import 一覧.csv", "after the start import who is reached: sekisho recipients import LIST.csv"))
	line("    administrators: [%q]", a["administrator"])
	line("hops:")
	line("  - { name: town-mail, network: local, hosts: [%q] }", server)
	if a["lgwan-relay"] != "" {
		line("  - { name: lgwan-relay, network: lgwan, hosts: [%q] }", withPort(a["lgwan-relay"]))
	}
	line("  - { name: internet, network: internet, mx: true }")
	line("routes:")
	for _, d := range domains {
		line("  - { domain: %s, hop: town-mail }", d)
	}
	if a["lgwan-relay"] != "" {
		line("  - { domain: lg.jp, hop: lgwan-relay, subdomains: true }")
	}
	line(`  - { domain: "*", hop: internet }`)
	line("lgwan: { domains: [lg.jp] }    # %s", u.tr("インターネットへ決して出さない名前", "names that never leave by the internet"))
	return b.String()
}

// writeConfig writes a configuration that the daemon accepts, whole or not at
// all.
func (u *ui) writeConfig(ctx context.Context, name, content string) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".sekisho-init-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(content)
	if err == nil {
		// The gateway reads it by its group; there is no secret in it.
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	said, refused, err := u.saidOf(ctx, f.Name())
	if err != nil {
		return err
	}
	for i := range said {
		said[i] = strings.ReplaceAll(said[i], f.Name(), name)
	}
	if refused {
		return u.refusal(said)
	}
	// A link takes nobody's name.
	if err := os.Link(f.Name(), name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return u.failure("%s はすでにあります。上書きはしません", "%s is there already and is not overwritten", name)
		}
		return err
	}
	if u.json {
		return u.object(checked{File: name, OK: true, Warnings: append([]string{}, said...)})
	}
	u.line("%s: %s", safe(name), u.tr("書きました", "written"))
	for _, l := range said {
		u.say("注意: %s", "warning: %s", safe(u.complaint(l)))
	}
	u.hint(u.tr("確かめるには: ", "to look at it again: ") + "sekisho config check " + safe(name))
	return nil
}
