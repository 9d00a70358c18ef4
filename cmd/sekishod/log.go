package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// logs is the daemon's log: one line per event, times with their zone. Level
// and format change while it is in use.
type logs struct {
	w    io.Writer
	now  *atomic.Pointer[slog.Handler]
	with []func(slog.Handler) slog.Handler // attributes and groups of a logger made of this one
}

func newLogs(w io.Writer, c *config) *logs {
	l := &logs{w: w, now: &atomic.Pointer[slog.Handler]{}}
	l.set(c)
	return l
}

// set takes level and format of a configuration.
func (l *logs) set(c *config) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.ToUpper(c.Log.Level))) // checked by settings
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case time.Time:
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.String(slog.TimeKey, v.Format(time.RFC3339Nano))
			}
		case error:
			return slog.String(a.Key, bounded(v.Error()))
		case string:
			return slog.String(a.Key, bounded(v))
		}
		return a
	}}
	var h slog.Handler = slog.NewJSONHandler(l.w, o)
	if c.Log.Format == "text" {
		h = slog.NewTextHandler(l.w, o)
	}
	l.now.Store(&h)
}

// Enabled is slog.Handler's.
func (l *logs) Enabled(ctx context.Context, level slog.Level) bool {
	return (*l.now.Load()).Enabled(ctx, level)
}

// Handle is slog.Handler's.
func (l *logs) Handle(ctx context.Context, r slog.Record) error {
	h := *l.now.Load()
	for _, f := range l.with {
		h = f(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (l *logs) WithAttrs(as []slog.Attr) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(as) })
}

// WithGroup is slog.Handler's.
func (l *logs) WithGroup(name string) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *logs) and(f func(slog.Handler) slog.Handler) slog.Handler {
	next := *l
	next.with = append(next.with[:len(next.with):len(next.with)], f)
	return &next
}
