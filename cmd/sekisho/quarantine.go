package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

func quarantineCommand(u *ui, g *globals) *cobra.Command {
	return group(u, "quarantine", text{"保留中のメールと添付を扱う", "messages and parts that are held"}, text{}, "02",
		quarantineList(u, g), quarantineShow(u, g), quarantineRelease(u, g), quarantineDelete(u, g), quarantineExport(u, g),
		quarantineOriginal(u, g, "request-original", "original.request", text{"原本の受け取りを申請する", "ask for an original"}),
		quarantineOriginal(u, g, "approve", "original.approve", text{"原本の申請を承認する", "approve that an original is delivered"}),
		quarantineOriginal(u, g, "deny", "original.deny", text{"原本の申請を却下する", "deny that an original is delivered"}))
}

func quarantineList(u *ui, g *globals) *cobra.Command {
	c := command(u, "list", text{"保留中のものを古い順に表示する", "list what is held, oldest first"}, text{}, "01245", func(cmd *cobra.Command, _ []string) error {
		n := 0
		req := client.Request{Tenant: g.tenant, Limit: pageSize}
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
				what := u.tr("メール全体", "the whole message")
				if len(e.Parts) > 0 {
					what = strings.Join(e.Parts, ", ")
				}
				u.line("%s  %s  %s  %s → %s", safe(e.ID), when(e.Time), pad(safe(e.Tenant), 10), cut(safe(e.From), 40), cut(safe(strings.Join(e.To, ", ")), 40))
				u.line("    %s: %s", u.tr("件名", "subject"), cut(safe(e.Subject), 80))
				u.line("    %s: %s  [%s]", u.tr("理由", "why"), u.word(classes, e.Class), safe(e.Class))
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
	c.Args = exactly(u, 0, text{})
	return c
}

func quarantineShow(u *ui, g *globals) *cobra.Command {
	c := command(u, "show ID", text{"保留中の 1 件を詳しく表示する", "show one held message or part"},
		text{
			"ヘッダー、無害化した本文、所見、ハッシュ、理由を表示します。\n原本を開くことはありません。閲覧したことは監査に残ります。",
			"Shows headers, treated text, findings, hashes and reasons. The original is never\nopened. That it was shown stays in the audit.",
		}, "01245",
		func(cmd *cobra.Command, args []string) error {
			var e client.Shown
			if err := g.client().Call(cmd.Context(), "quarantine.show", client.Request{Tenant: g.tenant, ID: args[0]}, &e); err != nil {
				return err
			}
			if u.json {
				return u.object(e)
			}
			u.show(&e)
			return nil
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	return c
}

// show prints a held entry whole.
func (u *ui) show(e *client.Shown) {
	row := func(ja, en, v string) {
		if v != "" {
			u.line("%s: %s", u.tr(ja, en), v)
		}
	}
	coded := func(word, code string) string {
		if code == "" || word == "" || word == safe(code) {
			return safe(code)
		}
		return safe(code) + "  (" + word + ")"
	}
	row("受付番号", "id", safe(e.ID))
	row("元のメール", "taken from", safe(e.Parent))
	row("受信", "received", when(e.Time))
	row("保管期限", "expires", when(e.Expires))
	row("団体", "tenant", safe(e.Tenant))
	row("区域", "zone", coded(u.word(zones, e.Zone), e.Zone))
	row("接続元", "peer", safe(strings.TrimSpace(e.Peer+"  "+e.Helo+"  "+e.TLS)))
	row("差出人", "sender", safe(e.From))
	row("宛先", "recipients", safe(strings.Join(e.To, ", ")))
	if len(e.Parts) > 0 {
		row("対象", "what", safe(strings.Join(e.Parts, ", ")))
	} else {
		row("対象", "what", u.tr("メール全体", "the whole message"))
	}
	row("分類", "class", coded(u.word(classes, e.Class), e.Class))
	row("規則", "rule", coded(u.rule(e.Rule), e.Rule))
	for _, r := range e.Reasons {
		w := u.reason(r)
		if w == r {
			w = ""
		}
		row("理由", "reason", coded(safe(w), r))
	}
	row("大きさ", "size", u.size(e.Size))
	row("SHA-256", "SHA-256", safe(e.SHA256))
	if len(e.Header) > 0 {
		u.line("\n%s", u.tr("ヘッダー（解読済み）", "header, decoded"))
		for _, f := range e.Header {
			u.line("  %s: %s", safe(f.Name), safe(f.Value))
		}
	}
	if len(e.Detail) > 0 {
		u.line("\n%s", u.tr("パート（種類は中身で判定）", "parts, their kinds by content"))
		for _, p := range e.Detail {
			u.line("  %s  %s  %s  %s  %s", safe(p.Path), u.kind(p.Kind), u.word(outcomes, p.Outcome), u.word(fates, p.Fate), safe(p.Name))
			u.line("      SHA-256 %s  %s", safe(p.SHA256), u.size(p.Size))
			if p.Error != "" {
				u.line("      %s", safe(u.cause(p.Error)))
			}
			for _, f := range p.Findings {
				u.line("      %s", u.finding(f.Rule, f.Action, f.Where, f.Detail))
			}
		}
	}
	u.line("\n%s", u.tr("無害化した本文", "treated text"))
	if e.TextNote != "" {
		u.line("  (%s)", safe(u.cause(e.TextNote)))
		return
	}
	u.line("%s", safeText(e.Text))
}

// size words a number of octets.
func (u *ui) size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf(u.tr("%d バイト", "%d bytes"), n)
	}
}

// How a release is waited for. A hop that is down is not waited for beyond
// patience: the message is treated and in the queue by then.
const (
	pollEvery = 150 * time.Millisecond
	patience  = 3 * time.Second
)

func quarantineRelease(u *ui, g *globals) *cobra.Command {
	var reason string
	var to []string
	var wait time.Duration
	c := command(u, "release ID --reason REASON [--to ADDRESS]... [--wait TIME]", text{"もう一度検査し、無害化した形で配送する", "examine again and deliver the treated form"},
		text{
			"検査が終わるまで待ち、配送したか、再び保留になった理由を表示します。\n原本がそのまま配送されることはありません。無害にできないものは保留に戻ります。",
			"Waits for the examination and says delivered, or held again and why. The\noriginal is never delivered: what cannot be made harmless is held again.",
		}, "012345",
		func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return u.usage("--reason が必要です（解放する理由。監査に残ります）", "--reason is needed: why is it released? It stays in the audit")
			}
			ctx := cmd.Context()
			var r client.Released
			if err := g.client().Call(ctx, "quarantine.release", client.Request{Tenant: g.tenant, ID: args[0], Reason: reason, To: to}, &r); err != nil {
				return err
			}
			if err := follow(ctx, u, g, &r, wait); err != nil {
				return err
			}
			if u.json {
				if err := u.object(r); err != nil {
					return err
				}
			}
			return u.released(&r)
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残る）", "why; it stays in the audit"))
	c.Flags().StringArrayVar(&to, "to", nil, u.tr("このメールの宛先のうち、この宛先だけに配送する", "only to this one of the mail's own recipients"))
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, u.tr("検査を待つ時間", "how long to wait for the examination"))
	argument(c.Flags(), "reason", "REASON")
	argument(c.Flags(), "to", "ADDRESS")
	argument(c.Flags(), "wait", "TIME")
	example(c, `sekisho quarantine release 01J8Z... --reason "`+u.tr("送信者に電話で確認", "confirmed by telephone")+`"`)
	return c
}

// follow waits until a release is no longer being examined, and a little for
// its delivery.
func follow(ctx context.Context, u *ui, g *globals, r *client.Released, wait time.Duration) error {
	c := g.client()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	end := time.Now().Add(wait)
	var queued time.Time
	for r.State == "examining" || r.State == "queued" {
		at := time.Now()
		if r.State == "queued" && queued.IsZero() {
			queued = at
		}
		if at.After(end) || !queued.IsZero() && at.Sub(queued) > patience {
			return nil
		}
		select {
		case <-ctx.Done():
			return &told{
				text: u.tr("待つのをやめました。解放は続いています: ", "no longer waiting; the release goes on: ") + r.ID,
				hint: u.tr("sekisho queue list と sekisho quarantine list で結果が分かります", "sekisho queue list and sekisho quarantine list show what became of it"),
			}
		case <-tick.C:
		}
		var now client.Released
		switch err := c.Call(ctx, "quarantine.status", client.Request{Tenant: g.tenant, ID: r.ID}, &now); {
		case err == nil:
			*r = now
		case ctx.Err() == nil:
			return err
		}
	}
	return nil
}

// released says what became of a release, and ends with the status for it.
func (u *ui) released(r *client.Released) error {
	var why []string
	for _, x := range r.Reasons {
		why = append(why, u.reason(x))
	}
	reasons := safe(strings.Join(why, u.tr("、", "; ")))
	result := func(ja, en string) {
		if u.json {
			return
		}
		s := safe(r.ID) + "  " + u.tr(ja, en)
		if reasons != "" {
			s += ": " + reasons
		}
		u.line("%s", s)
	}
	switch r.State {
	case "delivered":
		result("配送しました", "delivered")
		return nil
	case "queued":
		result("無害化しました。配送待ちです", "treated, waiting for delivery")
		return nil
	case "held":
		result("再び保留になりました", "held again")
		return ended(exitRefused)
	case "examining":
		u.say("%s はまだ検査中です", "%s is still being examined", safe(r.ID))
		u.hint(u.tr("sekisho queue list で確認できます", "sekisho queue list shows it"))
		return ended(exitFailed)
	default:
		u.say("%s を配送できませんでした: %s", "%s could not be delivered: %s", safe(r.ID), reasons)
		return ended(exitFailed)
	}
}

func quarantineDelete(u *ui, g *globals) *cobra.Command {
	var reason string
	c := command(u, "delete ID --reason REASON", text{"配送せずに保留を終わらせる", "end it without delivering"},
		text{"取り消せません。", "This cannot be undone."}, "01245", func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return u.usage("--reason が必要です（削除する理由。監査に残ります）", "--reason is needed: why is it deleted? It stays in the audit")
			}
			var r client.Released
			if err := g.client().Call(cmd.Context(), "quarantine.delete", client.Request{Tenant: g.tenant, ID: args[0], Reason: reason}, &r); err != nil {
				return err
			}
			if u.json {
				return u.object(r)
			}
			u.line("%s  %s", safe(r.ID), u.tr("削除しました", "deleted"))
			return nil
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残る）", "why; it stays in the audit"))
	argument(c.Flags(), "reason", "REASON")
	return c
}

// quarantineOriginal is one of the three acts about originals. The gateway
// refuses each while originals.deliver is off, which is all there is so far.
func quarantineOriginal(u *ui, g *globals, name, act string, title text) *cobra.Command {
	var reason string
	use := name + " ID --reason REASON"
	if name == "approve" {
		use = name + " ID [--reason REASON]"
	}
	c := command(u, use, title,
		text{
			"原本は、設定の originals.deliver が off である限り誰にも配送されません。\nこの版ではほかの値は使えず、この操作は必ず拒否され、監査に残ります。\n無害化したものは sekisho quarantine release で配送できます。",
			"No original is delivered to anybody while originals.deliver is off. In this\nversion it can be nothing else: the act is refused, and stays in the audit.\nsekisho quarantine release delivers the harmless form.",
		}, "01245", func(cmd *cobra.Command, args []string) error {
			if name != "approve" && strings.TrimSpace(reason) == "" {
				return u.usage("--reason が必要です（理由。監査に残ります）", "--reason is needed: why? It stays in the audit")
			}
			return g.client().Call(cmd.Context(), act, client.Request{Tenant: g.tenant, ID: args[0], Reason: reason}, nil)
		})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	c.Flags().StringVar(&reason, "reason", "", u.tr("理由（監査に残る）", "why; it stays in the audit"))
	argument(c.Flags(), "reason", "REASON")
	return c
}
