package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
	"sekisho/internal/header"
)

func traceCommand(u *ui, g *globals) *cobra.Command {
	var since string
	c := command(u, "trace QUERY [--since DATE]", text{"1 通のメールの一生を表示する", "show one message's whole life"},
		text{
			"QUERY は、受付番号、Message-ID、アドレス、@ドメイン、件名の一部（3 文字以上、\n" +
				"日本語なら 2 文字以上）、メールまたは添付の SHA-256 の\n" +
				"どれかです。受信から配送・保留・期限切れまでを、\n" +
				"そこから生まれたもの（添付の保留、解放、不達通知）とともに時刻順に表示します。\n" +
				"原本の期間が過ぎて消えたメールも、監査に残る分は表示します。受付番号なら\n" +
				"いつのメールでも見つかります。調べたことは監査に残ります。",
			"QUERY is an id, a Message-ID, an address, @domain, part of a subject (three\n" +
				"characters or more, two of Japanese), or the SHA-256 of a mail or an attachment. Shows all that\n" +
				"happened from its reception to its end, and to what came of it: parts kept\n" +
				"back, releases, reports of failure. Of a message whose bytes are gone the audit\n" +
				"is shown; an id is found in any case. That somebody looked stays in the audit.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			req := client.Request{Tenant: g.tenant, Query: args[0]}
			var err error
			if req.Since, err = u.since(since, time.Now()); err != nil {
				return err
			}
			var ts client.Traces
			if err := g.client().Call(cmd.Context(), "trace", req, &ts); err != nil {
				return err
			}
			for i := range ts.Messages {
				if u.json {
					if err := u.object(ts.Messages[i]); err != nil {
						return err
					}
					continue
				}
				if i > 0 {
					u.line("")
				}
				u.life(&ts.Messages[i])
			}
			if ts.More {
				u.say("ほかにもあります。さらに絞って探してください", "there are more; look for something narrower")
			}
			return nil
		})
	c.Args = exactly(u, 1, text{"探すもの一つ", "one thing to look for"})
	c.Flags().StringVar(&since, "since", "30d", u.tr("どこまでさかのぼるか。日数、日付、または all", "how far back to look: days, a date, or all"))
	argument(c.Flags(), "since", "DATE")
	example(c, "sekisho trace 20261124.123@vendor.example.jp", "sekisho trace soumu@town.example.lg.jp --since 2d", u.tr("sekisho trace 見積書", "sekisho trace estimate"))
	return c
}

// since reads how far back to look.
func (u *ui) since(s string, now time.Time) (time.Time, error) {
	if s == "all" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 10000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02", s, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, u.usage("--since %q は使えません。30d、2026-11-01、all のように指定してください", "--since %q: want days such as 30d, a date such as 2026-11-01, or all", s)
}

// life prints a message's life.
func (u *ui) life(m *client.Trace) {
	row := func(ja, en, v string) {
		if v != "" {
			u.line("  %s: %s", u.tr(ja, en), v)
		}
	}
	state := u.word(states, m.State)
	if m.State == "Held" {
		state += "  " + u.word(classes, m.Class) + "  [" + safe(m.Class) + "]"
	}
	u.line("%s  %s", safe(m.ID), state)
	row("元のメール", "comes from", safe(m.Parent))
	row("団体", "tenant", safe(m.Tenant))
	if m.State != "Gone" {
		if m.Zone == "unknown" {
			row("区域", "zone", u.tr("関所自身のメール", "the gateway's own mail"))
		} else {
			row("区域", "zone", u.word(zones, m.Zone))
			row("接続元", "peer", safe(strings.TrimSpace(m.Peer+"  "+m.Helo+"  "+m.TLS)))
		}
		row("差出人", "sender", safe(m.From))
		row("宛先", "recipients", cut(safe(strings.Join(m.To, ", ")), 200))
		row("件名", "subject", cut(safe(header.DecodeText(m.Subject)), 120))
		row("Message-ID", "Message-ID", safe(m.MessageID))
		row("SHA-256", "SHA-256", safe(m.SHA256)+"  "+u.size(m.Size))
		row("対象", "what", safe(strings.Join(m.Parts, ", ")))
		for _, r := range m.Reasons {
			row("理由", "reason", safe(u.reason(r)))
		}
		if len(m.Pending) > 0 && len(m.Pending) < len(m.To) {
			row("まだ届いていない宛先", "waits for", safe(strings.Join(m.Pending, ", ")))
		}
		row("最後の答え", "last answer", safe(u.cause(m.Err)))
		if !m.Due.IsZero() {
			row("次回", "next try", when(m.Due))
		}
		if !m.Expires.IsZero() {
			row("保管期限", "kept until", when(m.Expires))
		}
	}
	for _, p := range m.Treated {
		u.line("  %s  %s", safe(p.Path), strings.Join([]string{u.kind(p.Kind), u.word(outcomes, p.Outcome), u.word(fates, p.Fate), safe(p.Name)}, "  "))
		if p.Error != "" {
			u.line("      %s", safe(u.cause(p.Error)))
		}
		for _, f := range p.Findings {
			u.line("      %s", u.finding(f.Rule, f.Action, f.Where, f.Detail))
		}
	}
	for _, e := range m.Events {
		u.line("  %s  %s  %s  %s", e.Time.Local().Format("2006-01-02 15:04:05"), pad(u.word(acts, e.Act), 14), pad(safe(e.Actor), 12), cut(safe(u.event(e.Detail)), 200))
	}
}

func queueShow(u *ui, g *globals) *cobra.Command {
	c := command(u, "show ID", text{"待っている 1 通を詳しく表示する", "show one message that waits"},
		text{"宛先ごとの経路と、これまでに起きたことを表示します。本文は表示しません。", "Shows the way of each recipient and what happened so far. The text is not shown."}, "01245", func(cmd *cobra.Command, args []string) error {
			var q client.QueuedShown
			if err := g.client().Call(cmd.Context(), "queue.show", client.Request{Tenant: g.tenant, ID: args[0]}, &q); err != nil {
				return err
			}
			if u.json {
				return u.object(q)
			}
			u.life(&q.Trace)
			u.line("  %s:", u.tr("宛先ごと", "each recipient"))
			for _, r := range q.Recipients {
				state := u.tr("完了", "done")
				if r.Waits {
					state = u.tr("待ち", "waits")
				}
				way := safe(r.Hop) + "  " + u.word(networks, r.Network)
				if r.Err != "" {
					way = safe(u.cause(r.Err))
				}
				u.line("    %s  %s → %s", pad(state, 6), safe(r.Address), way)
			}
			return nil
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	return c
}

func queueFail(u *ui, g *globals) *cobra.Command {
	var reason string
	c := command(u, "fail ID --reason REASON", text{"配送をあきらめ、知らせてよい相手に知らせる", "give a message up, and tell who may be told"},
		text{
			"庁内の差出人には不達通知が、外からのメールについては団体の管理者に知らせが届きます。\n" +
				"外の差出人には何も送りません。理由は監査に残り、通知には書かれません。\n" +
				"取り消せません。",
			"A sender inside gets a report of failure; of mail from outside the tenant's\n" +
				"administrators are told, and the sender is not written to. The reason stays in\n" +
				"the audit and is in no report. This cannot be undone.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return u.usage("--reason が必要です（あきらめる理由。監査に残ります）", "--reason is needed: why is it given up? It stays in the audit")
			}
			var r client.Released
			if err := g.client().Call(cmd.Context(), "queue.fail", client.Request{Tenant: g.tenant, ID: args[0], Reason: reason}, &r); err != nil {
				return err
			}
			if u.json {
				return u.object(r)
			}
			told := ""
			for _, x := range r.Reasons {
				told += ": " + u.know(x, tellings)
			}
			u.line("%s  %s", safe(r.ID), u.tr("配送をあきらめました", "given up")+safe(told))
			return nil
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残る）", "why; it stays in the audit"))
	argument(c.Flags(), "reason", "REASON")
	example(c, `sekisho queue fail 01J8Z... --reason "`+u.tr("宛先の市は統合で廃止", "the body was merged and is gone")+`"`)
	return c
}

func quarantineExport(u *ui, g *globals) *cobra.Command {
	c := command(u, "export ID...", text{"報告、無害化した本文、監査を JSON で出力する", "print report, treated text and audit as JSON"},
		text{
			"1 件を 1 行の JSON にします。原本のデータは含みません。\n出力したことは監査に残ります。",
			"One object a line. No byte of the original is in it. That it was exported stays\nin the audit.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				var e client.Exported
				if err := g.client().Call(cmd.Context(), "quarantine.export", client.Request{Tenant: g.tenant, ID: id}, &e); err != nil {
					return err
				}
				if err := u.object(e); err != nil {
					return err
				}
			}
			return nil
		})
	c.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return u.usage("%s には受付番号が必要です", "%s wants at least one id", cmd.CommandPath())
		}
		return nil
	}
	example(c, "sekisho quarantine export 01J8Z... > 01J8Z.json")
	return c
}
