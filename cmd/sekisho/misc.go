package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
	"sekisho/internal/notice"
	"sekisho/internal/sandbox"
	"sekisho/internal/version"
	"sekisho/sanitize/worker"
)

func routeCommand(u *ui, g *globals) *cobra.Command {
	var zone string
	test := command(u, "test [--zone ZONE] ADDRESS", text{"宛先がどの経路に進むかを表示する", "say which way an address takes"},
		text{
			"宛先に送るメールの hop、その網、決め手となった経路の規則、扱いを表示します。\n何も送らず、何も変えません。",
			"Shows the hop of mail to this address, its network, the route that said so and\nhow the mail is treated. Nothing is sent and nothing is changed.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			var r client.Route
			if err := g.client().Call(cmd.Context(), "route.test", client.Request{Address: args[0], Zone: zone}, &r); err != nil {
				return err
			}
			if u.json {
				return u.object(r)
			}
			rule := safe(r.Route)
			if r.Subdomains {
				rule += u.tr(" とその下位", " and below")
			}
			u.line("%s → %s", safe(r.Address), safe(r.Hop))
			u.line("    %s: %s", u.tr("網", "network"), u.word(networks, r.Network))
			u.line("    %s: %s", u.tr("経路", "route"), rule)
			u.line("    %s: %s", u.tr("区域", "from zone"), u.word(zones, r.Zone))
			u.line("    %s: %s", u.tr("扱い", "mail"), u.word(treatments, r.Treatment))
			return nil
		})
	test.Args = exactly(u, 1, text{"アドレス一つ", "one address"})
	test.Flags().StringVar(&zone, "zone", "internet", u.tr("届いた区域: internet、internet-segment、lgwan", "where it comes from: internet, internet-segment or lgwan"))
	argument(test.Flags(), "zone", "ZONE")
	example(test, "sekisho route test kikaku@town.example.lg.jp", "sekisho route test --zone lgwan info@example.com")
	return group(u, "route", text{"経路を調べる", "ask for routes"}, text{}, "02", test)
}

func accountCommand(u *ui, g *globals) *cobra.Command {
	list := command(u, "list", text{"アカウントの一覧を表示する", "list accounts"}, text{}, "0125", func(cmd *cobra.Command, _ []string) error {
		var as []client.Account
		if err := g.client().Call(cmd.Context(), "account.list", client.Request{}, &as); err != nil {
			return err
		}
		for _, a := range as {
			if u.json {
				if err := u.object(a); err != nil {
					return err
				}
				continue
			}
			u.line("%s  uid %-6d  %s", pad(safe(a.Name), 20), a.UID, when(a.Created))
		}
		return nil
	})
	list.Args = exactly(u, 0, text{})
	var uid int
	add := command(u, "add NAME --uid N", text{"このホストの uid に名前を与え、管理を許す", "give a uid of this host a name and let it administer"},
		text{
			"管理ソケットを使えるのは、アカウントのある uid だけです。root も例外ではありません。\nuid は、その人が id -u で確かめられます。",
			"Only a uid that has an account may use the admin socket; root is no exception.\nid -u shows a person's uid.",
		}, "0125", func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("uid") || uid < 0 {
				return u.usage("--uid が必要です（その人の uid。id -u で表示されます）", "--uid is needed: the person's uid on this host, as id -u shows it")
			}
			var a client.Account
			if err := g.client().Call(cmd.Context(), "account.add", client.Request{Name: args[0], UID: uid}, &a); err != nil {
				return err
			}
			if u.json {
				return u.object(a)
			}
			u.line("%s  uid %d  %s", safe(a.Name), a.UID, u.tr("追加しました", "added"))
			return nil
		})
	add.Args = exactly(u, 1, text{"名前一つ", "one name"})
	add.Flags().IntVar(&uid, "uid", -1, u.tr("このホストでの uid", "uid on this host"))
	argument(add.Flags(), "uid", "N")
	example(add, "sekisho account add yamada --uid 1001")
	remove := command(u, "remove NAME", text{"アカウントを取り除く", "take an account away"},
		text{"使用中の自分のアカウントは取り除けません。", "Nobody removes the account he is using."}, "01245", func(cmd *cobra.Command, args []string) error {
			var a client.Account
			if err := g.client().Call(cmd.Context(), "account.remove", client.Request{Name: args[0]}, &a); err != nil {
				return err
			}
			if u.json {
				return u.object(a)
			}
			u.line("%s  %s", safe(args[0]), u.tr("取り除きました", "removed"))
			return nil
		})
	remove.Args = exactly(u, 1, text{"名前一つ", "one name"})
	return group(u, "account", text{"管理者のアカウントを扱う", "accounts of administrators"}, text{}, "02", list, add, remove)
}

// eachRecord goes over the audit from the record behind after on.
func eachRecord(ctx context.Context, g *globals, after int64, do func(client.Record) error) error {
	req := client.Request{Tenant: g.tenant, Seq: after, Limit: pageSize}
	for {
		var rs []client.Record
		if err := g.client().Call(ctx, "audit.list", req, &rs); err != nil {
			return err
		}
		for _, r := range rs {
			req.Seq = r.Seq
			if err := do(r); err != nil {
				return err
			}
		}
		if len(rs) < req.Limit {
			return nil
		}
	}
}

func auditCommand(u *ui, g *globals) *cobra.Command {
	list := command(u, "list", text{"監査の記録を古い順に表示する", "list the audit, oldest first"},
		text{"番号、時刻、誰が、何を、どのメールに、の順です。", "Number, time, who, what, which message, details."}, "01245", func(cmd *cobra.Command, _ []string) error {
			return eachRecord(cmd.Context(), g, 0, func(r client.Record) error {
				if u.json {
					return u.object(r)
				}
				u.line("%6d  %s  %s  %s  %s  %s", r.Seq, r.Time.Local().Format("2006-01-02 15:04:05"), pad(safe(r.Actor), 12), pad(u.word(acts, r.Act), 14), safe(r.ID), safe(u.event(r.Detail)))
				return nil
			})
		})
	list.Args = exactly(u, 0, text{})
	var after int64
	export := command(u, "export", text{"監査の記録を JSON で出力する", "print the audit as JSON"},
		text{
			"1 行に 1 件、古い順に、鎖のハッシュ（prev と hash）も付けて出力します。\n別の機械に取り置けば、あとから作り直されていないことを確かめられます。\n続きだけが要るときは --after に最後の番号を指定します。",
			"One record a line, oldest first, with the hashes of the chain (prev and hash).\nKept on another machine, it shows that nobody wrote the audit anew. For what has\ncome since, --after takes the last number you have.",
		}, "01245", func(cmd *cobra.Command, _ []string) error {
			if after < 0 {
				return u.usage("--after には 0 以上の番号を指定してください", "--after wants a number of 0 or more")
			}
			return eachRecord(cmd.Context(), g, after, func(r client.Record) error { return u.object(r) })
		})
	export.Args = exactly(u, 0, text{})
	export.Flags().Int64Var(&after, "after", 0, u.tr("この番号より後だけ", "only what comes after this number"))
	verify := command(u, "verify", text{"監査の鎖が切れていないか確かめる", "check that the chain of the audit is whole"},
		text{
			"最後のハッシュを別の場所に控えておくと、記録が後から作り直されていないことも\n確かめられます。",
			"Keep the last hash somewhere else: it shows that nobody wrote the audit anew.",
		}, "0125", func(cmd *cobra.Command, _ []string) error {
			var v client.Verified
			if err := g.client().Call(cmd.Context(), "audit.verify", client.Request{}, &v); err != nil {
				return err
			}
			if u.json {
				if err := u.object(v); err != nil {
					return err
				}
			}
			if !v.Intact {
				u.say("監査の鎖は %d 番の記録で切れています", "the chain of the audit is broken at record %d", v.Broken)
				return ended(exitFailed)
			}
			if !u.json {
				u.line(u.tr("%d 件、鎖は切れていません。最後のハッシュ: %s", "%d records, the chain is whole; last hash: %s"), v.Records, safe(v.Last))
			}
			return nil
		})
	verify.Args = exactly(u, 0, text{})
	return group(u, "audit", text{"監査の記録を扱う", "the audit"}, text{}, "02", list, verify, export)
}

// checked is what `config check --json` prints.
type checked struct {
	File     string   `json:"file"`
	OK       bool     `json:"ok"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
}

func configCommand(u *ui) *cobra.Command {
	check := command(u, "check FILE", text{"設定ファイルを検査する", "say what sekishod would say at start"},
		text{
			"起動時と同じ検査をします。誤りは FILE:行: キー: 内容 の形で表示します。",
			"Makes the same checks as a start. What is wrong is said as FILE:LINE: key: what.",
		}, "012", func(cmd *cobra.Command, args []string) error {
			said, refused, err := u.saidOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r := checked{File: args[0], OK: !refused, Warnings: []string{}}
			if refused {
				r.Error = strings.Join(said, "; ")
				if u.json {
					if err := u.object(r); err != nil {
						return err
					}
				}
				return u.refusal(said)
			}
			for _, l := range said {
				r.Warnings = append(r.Warnings, l)
				u.say("注意: %s", "warning: %s", safe(u.complaint(l)))
			}
			if u.json {
				return u.object(r)
			}
			u.line("%s: %s", safe(args[0]), u.tr("問題ありません", "ok"))
			return nil
		})
	check.Args = exactly(u, 1, text{"設定ファイル一つ", "one file"})
	example(check, "sekisho config check /etc/sekisho/sekisho.yaml")
	notices := command(u, "notices ja|en", text{"通知文の既定のファイルを表示する", "print the words of notices as a file to edit"},
		text{
			"利用者が読む通知文のすべてを、編集できる形で表示します。変更する節だけを残して\nファイルに保存し、profiles[].notices に書きます。",
			"Prints all that recipients read in notices. Keep the sections you change, save\nthem to a file, and name it in profiles[].notices.",
		}, "012", func(_ *cobra.Command, args []string) error {
			if args[0] != "ja" && args[0] != "en" {
				return u.usage("ja または en を指定してください", "want ja or en")
			}
			_, err := u.out.Write(notice.DefaultWording(notice.Language(args[0])))
			return err
		})
	notices.Args = exactly(u, 1, text{"言語（ja または en）", "a language, ja or en"})
	example(notices, "sekisho config notices ja > /etc/sekisho/notices.ja.txt")
	return group(u, "config", text{"設定を扱う", "the configuration"}, text{}, "02", check, limitsCommand(u), notices)
}

func doctorCommand(u *ui, g *globals) *cobra.Command {
	c := command(u, "doctor", text{"隔離、ディスク、証明書、待ち行列などを点検する", "check isolation, disk, certificates and queues"},
		text{
			"無害化の処理が外へ出られないことを、実際に試して確かめます。\nゲートウェイが動いていなければ、隔離だけを点検します（終了ステータスは 1）。",
			"Tries to break out of the worker and shows that it cannot be done. Without a\nrunning gateway only the isolation is checked, and the exit status is 1.",
		}, "0125", func(cmd *cobra.Command, _ []string) error {
			checks := isolationChecks(cmd, u)
			var more []client.Check
			err := g.client().Call(cmd.Context(), "doctor", client.Request{}, &more)
			var nobody *client.Unreachable
			if errors.As(err, &nobody) && !errors.Is(err, client.ErrNotAllowed) {
				why, _ := u.unreachable(nobody)
				checks, err = append(checks, client.Check{Name: "gateway", Status: "fail", Detail: why}), nil
			}
			failed, wide := false, 0
			for _, m := range marks {
				wide = max(wide, textColumns(u.pick(m)))
			}
			for _, k := range append(checks, more...) {
				failed = failed || k.Status != "pass" && k.Status != "warn"
				if u.json {
					if err := u.object(k); err != nil {
						return err
					}
					continue
				}
				u.line("%s  %s  %s", pad(u.word(marks, k.Status), wide), pad(safe(u.checkName(k.Name)), 36), safe(u.detail(k.Detail)))
			}
			if err == nil && failed {
				return ended(exitFailed)
			}
			return err
		})
	c.Args = exactly(u, 0, text{})
	return c
}

// checkName words the name of a check. What a probe tried is said as what must
// hold: "pass" beside "connect by TCP" would read as its opposite.
func (u *ui) checkName(name string) string {
	probe, _ := strings.CutPrefix(name, "isolation: ")
	if ja, tried := known(probe, probes); tried {
		return u.tr("隔離: "+ja, "isolation: cannot "+probe)
	}
	return u.know(name, checks)
}

// detail words what is said beside a check, piece by piece.
func (u *ui) detail(text string) string {
	if all := u.know(text, reports, complaints); all != text || !u.ja {
		return all
	}
	pieces := strings.Split(text, "; ")
	for i, p := range pieces {
		after, filter := strings.CutPrefix(p, "under the filter ")
		if pieces[i] = u.know(after, refusals); filter {
			pieces[i] = "フィルター下でも" + pieces[i]
		}
	}
	return strings.Join(pieces, "、")
}

func isolationChecks(cmd *cobra.Command, u *ui) []client.Check {
	bin, err := u.beside("sekisho-sanitizer")
	if err != nil {
		return []client.Check{{Name: "worker", Status: "fail", Detail: err.Error()}}
	}
	findings, err := sandbox.SelfTest(cmd.Context(), bin, sandbox.Worker())
	if err != nil {
		return []client.Check{{Name: "isolation", Status: "fail", Detail: err.Error()}}
	}
	tools := &worker.Tools{Launcher: bin}
	cs := append(isolationLines(findings), toolLines(tools.Look(cmd.Context()))...)
	fonts, err := tools.Fonts(cmd.Context())
	return append(cs, fontLines(fonts, err)...)
}

// maxIndexAge is how old the list of packages may be before doctor warns: a
// month and some days. Closed sites update more rarely, so it is a warning.
const maxIndexAge = 35 * 24 * time.Hour

// toolLines are the external programs: what is missing keeps files back and no
// mail, so it is a warning.
func toolLines(all []worker.Installed) []client.Check {
	var cs []client.Check
	for _, i := range all {
		c := client.Check{Name: "tool: " + i.Name, Status: "pass", Detail: i.Version}
		switch {
		case errors.Is(i.Err, sandbox.ErrNoTool):
			c.Status, c.Detail = "warn", "not installed: what needs it is kept back"
		case i.Err != nil:
			c.Status, c.Detail = "warn", i.Err.Error()
		}
		cs = append(cs, c)
	}
	if age, err := worker.IndexAge(time.Now()); err == nil && age > maxIndexAge {
		cs = append(cs, client.Check{Name: "tool packages", Status: "warn", Detail: fmt.Sprintf("the list of packages is %d days old: apt-get update", int(age.Hours()/24))})
	}
	return cs
}

// fontLines are what Japanese is drawn with. A document drawn with another font
// than its author's has other line ends; one without any is drawn as boxes.
func fontLines(f worker.Fonts, err error) []client.Check {
	switch {
	case errors.Is(err, sandbox.ErrNoTool):
		return []client.Check{{Name: "fonts", Status: "warn", Detail: "not known: fc-list is not installed"}}
	case err != nil:
		return []client.Check{{Name: "fonts", Status: "warn", Detail: err.Error()}}
	case len(f.Families) == 0:
		return []client.Check{{Name: "fonts", Status: "warn", Detail: "no font has Japanese: what is converted or drawn shows boxes"}}
	}
	cs := []client.Check{{Name: "fonts", Status: "pass", Detail: strings.Join(f.Families, ", ")}}
	for _, m := range []struct{ name, by string }{{"font: MS Mincho", f.Mincho}, {"font: MS Gothic", f.Gothic}} {
		c := client.Check{Name: m.name, Status: "pass", Detail: m.by}
		if m.by == "" {
			c.Status, c.Detail = "warn", "no font of its kind: another one is drawn in its place"
		}
		cs = append(cs, c)
	}
	return cs
}

func versionCommand(u *ui) *cobra.Command {
	c := command(u, "version", text{"版を表示する", "show version, commit and engine"}, text{}, "02", func(*cobra.Command, []string) error {
		v := client.Version{Version: version.Version, Commit: version.Commit, Engine: version.Engine, Go: runtime.Version()}
		if u.json {
			return u.object(v)
		}
		u.line("sekisho %s (%s)  %s %s  %s", v.Version, v.Commit, u.tr("エンジン", "engine"), v.Engine, v.Go)
		return nil
	})
	c.Args = exactly(u, 0, text{})
	return c
}
