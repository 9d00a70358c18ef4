// Sekishod is the gateway daemon. It accepts mail, keeps it safe, has it made
// harmless by confined workers, and passes on what is clean. It holds the keys,
// the store and the network, and parses nothing but SMTP commands and the top
// header block.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"sekisho/internal/limit"
	"sekisho/internal/version"
	"sekisho/spool"
)

// Exit statuses, contract.md.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `usage: sekishod --config FILE [--check | --limits | --converters]

  --config FILE   the configuration, YAML
  --check         say what would be said at start, and end
  --limits        print every limit as a line of JSON, and end
  --converters    print every converter as a line of JSON, and end
  --version       print version and commit

SIGHUP reads the file again and puts all of it in force, or nothing when anything
is wrong or cannot change while the gateway runs (hostname, data_dir, store).
SIGTERM ends the gateway after what is in hand.
設定の再読込は SIGHUP、終了は SIGTERM です。

EXIT STATUS
  0  done              完了
  1  failed            失敗
  2  wrong usage or configuration  使い方または設定の誤り
`

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("sekishod", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	file := fs.String("config", "", "")
	check := fs.Bool("check", false, "")
	limits := fs.Bool("limits", false, "")
	converters := fs.Bool("converters", false, "")
	ver := fs.Bool("version", false, "")
	say := func(format string, a ...any) { fmt.Fprintf(stderr, "sekishod: "+format+"\n", a...) }
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			return exitDone
		}
		say("%v", err)
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	if *ver {
		fmt.Fprintf(stdout, "sekishod %s (%s), engine %s, %s\n", version.Version, version.Commit, version.Engine, runtime.Version())
		return exitDone
	}
	if *file == "" || fs.NArg() > 0 {
		say("--config FILE is needed, and nothing else")
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	c, f, err := loadConfig(*file)
	var s *settings
	if err == nil {
		s, err = c.settings(f)
	}
	if err != nil {
		say("%v", err)
		return exitUsage
	}
	if *check {
		for _, w := range append(s.warnings, anybody(s.directory, time.Now())...) {
			say("%s", w)
		}
		return exitDone
	}
	if *limits {
		return printLimits(stdout, c.values())
	}
	if *converters {
		return printConverters(stdout, s.converters)
	}
	logs := newLogs(stderr, c)
	log := slog.New(logs)
	for _, w := range s.warnings {
		log.Warn("configuration", "err", w)
	}
	if os.Getuid() == 0 {
		log.Warn("configuration", "err", "sekishod runs as root: give it a user of its own; workers run as nobody in any case")
	}
	mem := newMemory()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// Before the start, which takes seconds: until it is asked for, the signal
	// ends the process.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	g, err := start(ctx, s, logs, mem)
	if err != nil {
		say("%v", err)
		if errors.Is(err, spool.ErrFull) {
			say("make room on the disk of %s and start again; what was taken is there, and nothing was taken since", c.DataDir)
		}
		return exitFailed
	}
	code := exitDone
	second := time.NewTicker(time.Second)
	defer second.Stop()
wait:
	for {
		select {
		case <-second.C:
			mem.adapt()
			mem.rest()
		case <-ctx.Done():
			break wait
		case <-hup:
			g.reload(*file)
		case err := <-g.broken:
			log.Error("stopped", "err", err)
			code = exitFailed
			break wait
		}
	}
	stop() // a second signal ends at once
	g.stop()
	return code
}

// bounded keeps what a sender controls from filling the log: no value is longer
// than an SMTP reply could be useful.
func bounded(s string) string {
	const most = 1000
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// printLimits writes every limit for programs; `sekisho config limits` writes
// them for people.
func printLimits(w io.Writer, v limit.Values) int {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, r := range limit.Rows() {
		if err := out.Encode(map[string]any{"key": r.Key, "section": r.Section, "value": r.Value(v.Get(r.Key)), "default": r.Value(r.Default),
			"unit": r.Unit.String(), "what": r.What, "what_ja": r.WhatJa, "why": r.Why, "why_ja": r.WhyJa, "where": r.Where}); err != nil {
			return exitFailed
		}
	}
	return exitDone
}
