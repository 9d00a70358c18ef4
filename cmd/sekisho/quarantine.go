package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

func quarantineCommand(u *ui, g *globals) *cobra.Command {
	return group(u, "quarantine", "保留中のメールと添付", "messages and parts that are held",
		quarantineList(u, g), quarantineShow(u, g), quarantineRelease(u, g), quarantineDelete(u, g))
}

func quarantineList(u *ui, g *globals) *cobra.Command {
	c := command(u, "list", "保留中のものを古い順に一覧表示", "list what is held, oldest first", "", "0125", func(cmd *cobra.Command, _ []string) error {
		n := 0
		req := client.Request{Tenant: g.tenant, Limit: 500}
		for {
			var es []client.Held
			if err := g.client().Call(cmd.Context(), "quarantine.list", req, &es); err != nil {
				return err
			}
			for _, e := range es {
				n++
				if u.json {
					if err := u.object(e); err != nil {
						return err
					}
					continue
				}
				what := u.tr("メール全体", "whole message")
				if len(e.Parts) > 0 {
					what = strings.Join(e.Parts, ", ")
				}
				u.line("%s  %s  %-10s %-10s %s → %s", e.ID, when(e.Time), safe(e.Tenant), e.Class, safe(cut(e.From, 40)), safe(cut(strings.Join(e.To, ","), 40)))
				u.line("    %s: %s", u.tr("件名", "subject"), cut(safe(e.Subject), 80))
				u.line("    %s: %s    %s: %s", u.tr("対象", "what"), cut(safe(what), 60), u.tr("期限", "expires"), when(e.Expires))
			}
			if len(es) < req.Limit {
				break
			}
			req.After = es[len(es)-1].ID
		}
		if n == 0 && !u.json {
			u.say("保留中のものはありません", "nothing is held")
		}
		return nil
	})
	c.Args = exactly(0, "no argument")
	return c
}

func quarantineShow(u *ui, g *globals) *cobra.Command {
	c := command(u, "show ID", "保留中の 1 件を詳しく表示", "show one held message or part",
		u.tr("ヘッダー、無害化したテキスト、所見、ハッシュ、理由を表示します。原本を開くことはありません。", "Headers, treated text, findings, hashes and reasons. The original is never opened."), "01245",
		func(cmd *cobra.Command, args []string) error {
			var e client.Shown
			if err := g.client().Call(cmd.Context(), "quarantine.show", client.Request{Tenant: g.tenant, ID: args[0]}, &e); err != nil {
				return err
			}
			if u.json {
				return u.object(e)
			}
			row := func(ja, en, v string) {
				if v != "" {
					u.line("%s: %s", u.tr(ja, en), safe(v))
				}
			}
			row("ID", "id", e.ID)
			row("元のメール", "taken from", e.Parent)
			row("受信", "received", when(e.Time))
			row("期限", "expires", when(e.Expires))
			row("団体", "tenant", e.Tenant)
			row("区域", "zone", e.Zone)
			row("接続元", "peer", strings.TrimSpace(e.Peer+" "+e.Helo+" "+e.TLS))
			row("差出人", "sender", e.From)
			row("宛先", "recipients", strings.Join(e.To, ", "))
			row("分類", "class", e.Class)
			row("規則", "rule", e.Rule)
			for _, r := range e.Reasons {
				row("理由", "reason", r)
			}
			row("大きさ", "size", fmt.Sprint(e.Size))
			row("SHA-256", "SHA-256", e.SHA256)
			u.line("\n%s", u.tr("ヘッダー（解読済み）", "header, decoded"))
			for _, f := range e.Header {
				u.line("  %s: %s", f.Name, safe(f.Value))
			}
			u.line("\n%s", u.tr("パート", "parts"))
			for _, p := range e.Detail {
				u.line("  %s  %s  %s  %s  %s", p.Path, p.Kind, p.Outcome, p.Fate, safe(p.Name))
				u.line("      SHA-256 %s  %d", p.SHA256, p.Size)
				if p.Error != "" {
					u.line("      %s", safe(p.Error))
				}
				for _, f := range p.Findings {
					u.line("      %s  %s  %s  %s", f.Rule, f.Action, safe(f.Where), safe(f.Detail))
				}
			}
			u.line("\n%s", u.tr("無害化したテキスト", "treated text"))
			if e.TextNote != "" {
				u.line("  (%s)", safe(e.TextNote))
			} else {
				u.line("%s", safeText(e.Text))
			}
			return nil
		})
	c.Args = exactly(1, "one id")
	return c
}

func quarantineRelease(u *ui, g *globals) *cobra.Command {
	var reason string
	var to []string
	var wait time.Duration
	c := command(u, "release ID --reason REASON", "もう一度検査し、無害化した形で配送", "examine again and deliver the treated form",
		u.tr("検査が終わるまで待ち、配送したか、再び保留になった理由を表示します。", "Waits for the examination and says delivered, or held again and why."), "012345",
		func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return fmt.Errorf("--reason is needed: why is it released? %w", errUsage)
			}
			ctx := cmd.Context()
			var r client.Released
			if err := g.client().Call(ctx, "quarantine.release", client.Request{Tenant: g.tenant, ID: args[0], Reason: reason, To: to}, &r); err != nil {
				return err
			}
			// The worker has two minutes a run and two runs; what is queued for a
			// hop that is down is not waited for beyond that.
			deadline := time.Now().Add(wait)
			queued := 0
			for r.State == "examining" || r.State == "queued" && queued < 20 {
				if time.Now().After(deadline) {
					break
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(150 * time.Millisecond):
				}
				if err := g.client().Call(ctx, "quarantine.status", client.Request{Tenant: g.tenant, ID: r.ID}, &r); err != nil {
					return err
				}
				if r.State == "queued" {
					queued++
				}
			}
			if u.json {
				if err := u.object(r); err != nil {
					return err
				}
			}
			switch r.State {
			case "delivered":
				if !u.json {
					u.line("%s  %s", r.ID, u.tr("配送しました", "delivered"))
				}
				return nil
			case "queued":
				if !u.json {
					u.line("%s  %s", r.ID, u.tr("無害化し、配送待ちです: ", "treated, waiting for delivery: ")+safe(strings.Join(r.Reasons, "; ")))
				}
				return nil
			case "held":
				if !u.json {
					u.line("%s  %s: %s", r.ID, u.tr("再び保留になりました", "held again"), safe(strings.Join(r.Reasons, "; ")))
				}
				return fmt.Errorf("%w%w", errShown, errRefused)
			case "examining":
				u.say("まだ検査中です", "still being examined")
				return errShown
			default:
				u.say("配送できませんでした: %s", "could not be delivered: %s", safe(strings.Join(r.Reasons, "; ")))
				return errShown
			}
		})
	c.Args = exactly(1, "one id")
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残ります）", "why; it stays in the audit"))
	c.Flags().StringSliceVar(&to, "to", nil, u.tr("このメールの宛先のうち、この宛先だけに", "only to these of the mail's own recipients"))
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, u.tr("待つ時間", "how long to wait"))
	return c
}

func quarantineDelete(u *ui, g *globals) *cobra.Command {
	var reason string
	c := command(u, "delete ID --reason REASON", "配送せずに終わらせる", "end it without delivering", "", "01245", func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return fmt.Errorf("--reason is needed: why is it deleted? %w", errUsage)
		}
		var r client.Released
		if err := g.client().Call(cmd.Context(), "quarantine.delete", client.Request{Tenant: g.tenant, ID: args[0], Reason: reason}, &r); err != nil {
			return err
		}
		if u.json {
			return u.object(r)
		}
		u.line("%s  %s", r.ID, u.tr("削除しました", "deleted"))
		return nil
	})
	c.Args = exactly(1, "one id")
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残ります）", "why; it stays in the audit"))
	return c
}
