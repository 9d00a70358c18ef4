package main

import (
	"context"
	"fmt"
	"time"

	"sekisho/tenant"
)

// adopt puts settings in force, with the recipients that were imported. Reload
// and import both come here, so one waits for the other.
func (g *gateway) adopt(s *settings) {
	g.adopting.Lock()
	defer g.adopting.Unlock()
	g.put(s)
}

// put is adopt for who has the lock.
func (g *gateway) put(s *settings) {
	next := *s
	next.directory = s.named.With(g.imported)
	g.current.Store(&next)
}

// relist reads the imported lists of recipients and puts them in force. Those
// whose day has yet to come are among them: they take effect by themselves.
func (g *gateway) relist(ctx context.Context) error {
	g.adopting.Lock()
	defer g.adopting.Unlock()
	lists, err := g.store.Recipients(ctx, time.Now())
	if err != nil {
		return err
	}
	g.imported = lists
	g.put(g.current.Load())
	return nil
}

// anybody are the warnings about tenants that accept any recipient.
func anybody(d *tenant.Directory, now time.Time) []string {
	var ws []string
	for _, t := range d.All() {
		if t.Recipients.Unknown(now) {
			ws = append(ws, fmt.Sprintf("tenant %s accepts no recipient but postmaster: no list of its recipients is as the gateway wrote it; import it anew", t.ID))
			continue
		}
		if t.Recipients.At(now).List == nil {
			ws = append(ws, fmt.Sprintf("tenant %s accepts any recipient: import a list or name a recipients file, or mail to people who do not exist is accepted and fails later", t.ID))
		}
	}
	return ws
}
