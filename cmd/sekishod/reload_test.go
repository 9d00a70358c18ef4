package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestCertificatesAreMissedBeforeTheyEnd(t *testing.T) {
	const day = 24 * time.Hour
	for left, want := range map[time.Duration]int{22 * day: 0, 21*day + time.Second: 0, 21 * day: 21, 8 * day: 21, 7 * day: 7, 2 * day: 7, day: 1, time.Second: 1, 0: -1, -day: -1} {
		mark, due := expiry(left)
		if mark != want || due != (want != 0) {
			t.Errorf("%s before the end: %d, %v; want %d", left, mark, due, want)
		}
	}
}

func TestLogTakesLevelAndFormatWhileInUse(t *testing.T) {
	var b bytes.Buffer
	c := defaults()
	l := newLogs(&b, c)
	log := slog.New(l)
	child := log.With("id", "x").WithGroup("g")
	log.Debug("hidden")
	c.Log.Level, c.Log.Format = "debug", "text"
	l.set(c)
	log.Debug("seen")
	child.Debug("child", "a", 1)
	c.Log.Level, c.Log.Format = "error", "json"
	l.set(c)
	child.Warn("hidden")
	child.Error("last", "a", 2)
	got := b.String()
	if strings.Contains(got, "hidden") || !strings.Contains(got, "level=DEBUG msg=seen") || !strings.Contains(got, "msg=child id=x g.a=1") ||
		!strings.Contains(got, `"msg":"last","id":"x","g":{"a":2}`) {
		t.Errorf("got %s", got)
	}
}

// TestWhatCannotChangeIsRefused holds every key of the file against what a
// reload does with it: those named here are refused, the others are put in
// force by reload.
func TestWhatCannotChangeIsRefused(t *testing.T) {
	f := &configFile{name: "sekisho.yaml"}
	for key, change := range map[string]func(*config){
		"hostname":       func(c *config) { c.Hostname = "other.example" },
		"data_dir":       func(c *config) { c.DataDir = "/x" },
		"store.key_file": func(c *config) { c.Store.KeyFile = "/x" },
		"store.database": func(c *config) { c.Store.Database = "x" },
		"store.blobs":    func(c *config) { c.Store.Blobs = "x" },
	} {
		was, is := defaults(), defaults()
		if err := fixed(f, was, is); err != nil {
			t.Fatal(err)
		}
		change(is)
		if err := fixed(f, was, is); err == nil || !strings.Contains(err.Error(), key+": cannot change") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
