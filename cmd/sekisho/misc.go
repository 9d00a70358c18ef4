package main

import (
	"bytes"
	"errors"
	"fmt"

	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
	"sekisho/internal/sandbox"
	"sekisho/internal/version"
)

func routeCommand(u *ui, g *globals) *cobra.Command {
	var zone string
	test := command(u, "test ADDRESS", "宛先がどの経路に進むかを表示（何も変えない）", "say which way an address takes; changes nothing", "", "01245", func(cmd *cobra.Command, args []string) error {
		var r client.Route
		if err := g.client().Call(cmd.Context(), "route.test", client.Request{Address: args[0], Zone: zone}, &r); err != nil {
			return err
		}
		if u.json {
			return u.object(r)
		}
		u.line("%s → %s (%s)  %s: %s%s  %s", safe(r.Address), r.Hop, r.Network, u.tr("規則", "route"), r.Route, map[bool]string{true: u.tr(" とその下", " and below")}[r.Subdomains],
			map[string]string{"rebuild": u.tr("無害化", "rebuilt"), "pass": u.tr("検査のみ", "passes as scanned")}[r.Treatment])
		return nil
	})
	test.Args = exactly(1, "one address")
	test.Flags().StringVar(&zone, "zone", "internet", u.tr("どの区域から来たとするか", "where it is said to come from: internet, internet-segment, lgwan"))
	return group(u, "route", "経路", "routes", test)
}

func accountCommand(u *ui, g *globals) *cobra.Command {
	list := command(u, "list", "アカウントの一覧", "list accounts", "", "0125", func(cmd *cobra.Command, _ []string) error {
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
			u.line("%-20s uid %-6d %s", safe(a.Name), a.UID, when(a.Created))
		}
		return nil
	})
	list.Args = exactly(0, "no argument")
	uid := -1
	add := command(u, "add NAME --uid N", "uid に名前を付ける", "give a uid of this host a name", "", "0125", func(cmd *cobra.Command, args []string) error {
		if uid < 0 {
			return fmt.Errorf("--uid is needed: the person's uid on this host, as id -u prints it: %w", errUsage)
		}
		var a client.Account
		if err := g.client().Call(cmd.Context(), "account.add", client.Request{Name: args[0], UID: uid}, &a); err != nil {
			return err
		}
		if u.json {
			return u.object(a)
		}
		u.line("%s  uid %d", safe(a.Name), a.UID)
		return nil
	})
	add.Args = exactly(1, "one name")
	add.Flags().IntVar(&uid, "uid", -1, u.tr("このホストでの uid", "uid on this host"))
	remove := command(u, "remove NAME", "アカウントを取り除く", "take an account away", "", "01245", func(cmd *cobra.Command, args []string) error {
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
	remove.Args = exactly(1, "one name")
	return group(u, "account", "管理者のアカウント", "accounts of administrators", list, add, remove)
}

func auditCommand(u *ui, g *globals) *cobra.Command {
	list := command(u, "list", "監査記録を古い順に表示", "list the audit, oldest first", "", "0125", func(cmd *cobra.Command, _ []string) error {
		req := client.Request{Tenant: g.tenant, Limit: 500}
		for {
			var rs []client.Record
			if err := g.client().Call(cmd.Context(), "audit.list", req, &rs); err != nil {
				return err
			}
			for _, r := range rs {
				req.Seq = r.Seq
				if u.json {
					if err := u.object(r); err != nil {
						return err
					}
					continue
				}
				u.line("%6d  %s  %-12s %-14s %s  %s", r.Seq, r.Time.Local().Format("2006-01-02 15:04:05"), safe(r.Actor), r.Act, r.ID, safe(r.Detail))
			}
			if len(rs) < req.Limit {
				return nil
			}
		}
	})
	list.Args = exactly(0, "no argument")
	verify := command(u, "verify", "監査の鎖が切れていないか確かめる", "check that the chain of the audit is whole", "", "0125", func(cmd *cobra.Command, _ []string) error {
		var v client.Verified
		if err := g.client().Call(cmd.Context(), "audit.verify", client.Request{}, &v); err != nil {
			return err
		}
		if u.json {
			if err := u.object(v); err != nil {
				return err
			}
		} else if v.Intact {
			u.line(u.tr("%d 件、鎖は切れていません。最後のハッシュ: %s", "%d records, the chain is whole; last hash: %s"), v.Records, v.Last)
		}
		if !v.Intact {
			u.say("監査の鎖は %d 番の記録で切れています", "the chain of the audit is broken at record %d", v.Broken)
			return errShown
		}
		return nil
	})
	verify.Args = exactly(0, "no argument")
	return group(u, "audit", "監査", "the audit", list, verify)
}

func configCommand(u *ui) *cobra.Command {
	check := command(u, "check FILE", "設定ファイルを検査する", "say what sekishod would say at start", "", "012", func(cmd *cobra.Command, args []string) error {
		daemon, err := beside("sekishod")
		if err != nil {
			return err
		}
		// The daemon itself checks: there is one reader of the configuration,
		// and what it says here is what it says at start.
		var out, complaint bytes.Buffer
		c := exec.CommandContext(cmd.Context(), daemon, "--config", args[0], "--check")
		c.Stdout, c.Stderr = &out, &complaint
		err = c.Run()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit) && exit.ExitCode() == exitUsage:
			text := strings.TrimSpace(strings.TrimPrefix(complaint.String(), "sekishod: "))
			if u.json {
				if err := u.object(map[string]any{"file": args[0], "ok": false, "error": text}); err != nil {
					return err
				}
			}
			fmt.Fprintf(u.err, "sekisho: %s\n", safe(text))
			return fmt.Errorf("%w%w", errShown, errUsage)
		case err != nil:
			return fmt.Errorf("%s: %w: %s", daemon, err, safe(complaint.String()))
		}
		var warnings []string
		for _, l := range strings.Split(strings.TrimSpace(complaint.String()), "\n") {
			if l = strings.TrimPrefix(l, "sekishod: "); l != "" {
				warnings = append(warnings, l)
				u.say("注意: %s", "warning: %s", safe(l))
			}
		}
		if u.json {
			return u.object(map[string]any{"file": args[0], "ok": true, "warnings": warnings})
		}
		u.line("%s: %s", safe(args[0]), u.tr("問題ありません", "ok"))
		return nil
	})
	check.Args = exactly(1, "one file")
	return group(u, "config", "設定", "the configuration", check)
}

func doctorCommand(u *ui, g *globals) *cobra.Command {
	c := command(u, "doctor", "隔離、ディスク、証明書、待ち行列などを点検する", "check isolation, disk, certificates, queues",
		u.tr("ゲートウェイが動いていなければ、隔離だけを点検します。", "Without a running gateway only the isolation is checked."), "0125", func(cmd *cobra.Command, _ []string) error {
			checks := isolationChecks(cmd)
			var more []client.Check
			err := g.client().Call(cmd.Context(), "doctor", client.Request{}, &more)
			switch {
			case errors.Is(err, client.ErrRunning):
				checks = append(checks, client.Check{Name: "gateway", Status: "fail", Detail: err.Error()})
			case err != nil:
				return err
			}
			failed := false
			for _, k := range append(checks, more...) {
				failed = failed || k.Status == "fail"
				if u.json {
					if err := u.object(k); err != nil {
						return err
					}
					continue
				}
				mark := map[string]string{"pass": u.tr("合格", "pass"), "warn": u.tr("注意", "warn"), "fail": u.tr("不合格", "FAIL")}[k.Status]
				u.line("%s  %-28s %s", mark, k.Name, safe(k.Detail))
			}
			if failed {
				return errShown
			}
			return nil
		})
	c.Args = exactly(0, "no argument")
	return c
}

func isolationChecks(cmd *cobra.Command) []client.Check {
	bin, err := beside("sekisho-sanitizer")
	if err != nil {
		return []client.Check{{Name: "worker", Status: "fail", Detail: err.Error()}}
	}
	findings, err := sandbox.SelfTest(cmd.Context(), bin, sandbox.Worker())
	if err != nil {
		return []client.Check{{Name: "isolation", Status: "fail", Detail: err.Error()}}
	}
	return isolationLines(findings)
}

func versionCommand(u *ui) *cobra.Command {
	c := command(u, "version", "版を表示", "version, commit and engine", "", "02", func(*cobra.Command, []string) error {
		v := client.Version{Version: version.Version, Commit: version.Commit, Engine: version.Engine, Go: runtime.Version()}
		if u.json {
			return u.object(v)
		}
		u.line("sekisho %s (%s), engine %s, %s", v.Version, v.Commit, v.Engine, v.Go)
		return nil
	})
	c.Args = exactly(0, "no argument")
	return c
}
