package main

import (
	"strings"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

func queueCommand(u *ui, g *globals) *cobra.Command {
	return group(u, "queue", "検査待ち・配送待ちのメール", "messages on their way", queueList(u, g), queueRetry(u, g))
}

func queueList(u *ui, g *globals) *cobra.Command {
	c := command(u, "list", "検査待ち・配送待ちを古い順に一覧表示", "list what is received or queued, oldest first", "", "0125", func(cmd *cobra.Command, _ []string) error {
		n := 0
		req := client.Request{Tenant: g.tenant, Limit: 500}
		for {
			var es []client.Queued
			if err := g.client().Call(cmd.Context(), "queue.list", req, &es); err != nil {
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
				u.line("%s  %s  %-9s %-12s %s → %s", e.ID, when(e.Time), e.State, safe(e.Hop), safe(cut(e.From, 40)), safe(cut(strings.Join(e.To, ","), 40)))
				if e.Attempts > 0 || e.Err != "" {
					u.line("    %s: %d    %s: %s    %s", u.tr("試行", "tries"), e.Attempts, u.tr("次回", "next"), when(e.Due), cut(safe(e.Err), 80))
				}
			}
			if len(es) < req.Limit {
				break
			}
			req.After = es[len(es)-1].ID
		}
		if n == 0 && !u.json {
			u.say("待っているメールはありません", "the queue is empty")
		}
		return nil
	})
	c.Args = exactly(0, "no argument")
	return c
}

func queueRetry(u *ui, g *globals) *cobra.Command {
	c := command(u, "retry ID", "すぐに再送を試みる", "try to deliver it now", "", "01245", func(cmd *cobra.Command, args []string) error {
		var r client.Released
		if err := g.client().Call(cmd.Context(), "queue.retry", client.Request{Tenant: g.tenant, ID: args[0]}, &r); err != nil {
			return err
		}
		if u.json {
			return u.object(r)
		}
		u.line("%s  %s", r.ID, u.tr("すぐに再送します", "due now"))
		return nil
	})
	c.Args = exactly(1, "one id")
	return c
}
