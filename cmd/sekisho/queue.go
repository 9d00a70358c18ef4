package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/admin/client"
)

// pageSize is how much is asked for at once: what the gateway gives at most.
const pageSize = 500

func queueCommand(u *ui, g *globals) *cobra.Command {
	return group(u, "queue", text{"検査待ち・配送待ちのメールを扱う", "messages on their way"}, text{}, "02", queueList(u, g), queueShow(u, g), queueRetry(u, g), queueFail(u, g))
}

func queueList(u *ui, g *globals) *cobra.Command {
	c := command(u, "list", text{"検査待ち・配送待ちのメールを古い順に表示する", "list what is received or queued, oldest first"}, text{}, "01245", func(cmd *cobra.Command, _ []string) error {
		es, err := queued(cmd, g)
		if err != nil {
			return err
		}
		for _, e := range es {
			if u.json {
				if err := u.object(e); err != nil {
					return err
				}
				continue
			}
			u.line("%s  %s  %s  %s  %s → %s", safe(e.ID), when(e.Time), pad(u.word(states, e.State), 8), pad(safe(e.Hop), 12), cut(safe(e.From), 40), cut(safe(strings.Join(e.To, ", ")), 40))
			if e.Attempts > 0 || e.Err != "" {
				u.line("    %s: %d    %s: %s    %s", u.tr("試行", "tries"), e.Attempts, u.tr("次回", "next"), when(e.Due), cut(safe(u.cause(e.Err)), 100))
			}
		}
		if len(es) == 0 && !u.json {
			u.say("待っているメールはありません", "the queue is empty")
		}
		return nil
	})
	c.Args = exactly(u, 0, text{})
	return c
}

// queued reads the whole queue. An answer has a page of each state, so the
// next one begins where the shorter of two full pages ended, and what comes
// twice is dropped.
func queued(cmd *cobra.Command, g *globals) ([]client.Queued, error) {
	var all []client.Queued
	seen := map[string]bool{}
	req := client.Request{Tenant: g.tenant, Limit: pageSize}
	for {
		var es []client.Queued
		if err := g.client().Call(cmd.Context(), "queue.list", req, &es); err != nil {
			return nil, err
		}
		count, last := map[string]int{}, map[string]string{}
		for _, e := range es {
			count[e.State]++
			last[e.State] = max(last[e.State], e.ID)
			if !seen[e.ID] {
				seen[e.ID] = true
				all = append(all, e)
			}
		}
		after := ""
		for state, n := range count {
			if n >= req.Limit && (after == "" || last[state] < after) {
				after = last[state]
			}
		}
		if after == "" || after <= req.After {
			break
		}
		req.After = after
	}
	slices.SortStableFunc(all, func(a, b client.Queued) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func queueRetry(u *ui, g *globals) *cobra.Command {
	c := command(u, "retry ID", text{"次の時刻を待たず、すぐに再送する", "try to deliver a message now"}, text{}, "01245", func(cmd *cobra.Command, args []string) error {
		var r client.Released
		if err := g.client().Call(cmd.Context(), "queue.retry", client.Request{Tenant: g.tenant, ID: args[0]}, &r); err != nil {
			return err
		}
		if u.json {
			return u.object(r)
		}
		u.line("%s  %s", safe(r.ID), u.tr("すぐに再送します", "due now"))
		return nil
	})
	c.Args = exactly(u, 1, text{"受付番号一つ", "one id"})
	return c
}
