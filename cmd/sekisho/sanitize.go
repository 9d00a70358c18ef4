package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
)

// fileResult is one line of `sanitize --json`, contract.md.
type fileResult struct {
	File      string        `json:"file"`
	Path      string        `json:"path,omitempty"` // of a part inside a container: 1.2
	Kind      string        `json:"kind"`
	OutKind   string        `json:"out_kind"`
	Outcome   string        `json:"outcome"`
	Mode      string        `json:"mode"`
	Tried     []fileTried   `json:"tried,omitempty"` // steps of the ladder before it, and why not
	Output    string        `json:"output"`
	SHA256In  string        `json:"sha256_in"`
	SHA256Out string        `json:"sha256_out"`
	Findings  []fileFinding `json:"findings"`
	Error     string        `json:"error"`
	ElapsedMS int64         `json:"elapsed_ms"`
	Parts     []fileResult  `json:"parts,omitempty"`

	failed error   // the file could not be read or written
	holds  []hold  // why a whole mail was refused
	output *staged // what is to be published
	target string  // under this name
}

type hold struct{ code, detail string }

type fileTried struct {
	Mode string `json:"mode"`
	Why  string `json:"why"`
}

type fileFinding struct {
	Rule   string `json:"rule"`
	Where  string `json:"where"`
	Action string `json:"action"`
	Detail string `json:"detail"`
}

func sanitizeCommand(u *ui) *cobra.Command {
	var mode, out, config string
	c := command(u, "sanitize [--mode MODE] [--out DIR] [--config FILE] FILE...", text{"手元のファイルを無害化する", "make local files harmless"},
		text{
			"ゲートウェイと同じ隔離された処理で無害化します。ゲートウェイが動いている必要は\n" +
				"ありません。メール (.eml) もファイルとして扱います。\n" +
				"--out がなければ、入力の隣に NAME.disarmed.EXT として書きます。上書きはしません。\n" +
				"無害な形を作れないファイル（不可）には、何も書きません。\n" +
				"--config で設定ファイルを指定すると、そこにある変換コマンドも使います。",
			"Treats files in the same isolated worker as the gateway does; no gateway need be\n" +
				"running. A mail (.eml) is a file like any other. Without --out the output stands\n" +
				"beside the input as NAME.disarmed.EXT. Nothing is ever overwritten, and nothing\n" +
				"is written for a file of which no harmless form can be made (refused). The\n" +
				"converters of a configuration are used when --config names it.",
		}, "0123",
		func(cmd *cobra.Command, args []string) error {
			return treatFiles(cmd.Context(), u, args, mode, out, config, true)
		})
	c.Args = someFiles(u)
	c.Flags().StringVar(&mode, "mode", "auto", u.tr("auto（段階を順に試す）、rebuild、convert、flatten、text", "auto (the steps in turn), rebuild, convert, flatten or text"))
	c.Flags().StringVar(&out, "out", "", u.tr("出力先のフォルダー（なければ作る）", "folder for the outputs, made when missing"))
	c.Flags().StringVar(&config, "config", "", u.tr("変換コマンドを読む設定ファイル", "configuration whose converters are used"))
	argument(c.Flags(), "config", "FILE")
	argument(c.Flags(), "mode", "MODE")
	argument(c.Flags(), "out", "DIR")
	example(c, "sekisho sanitize --out harmless *.docx", "sekisho sanitize --json mail.eml")
	return c
}

func inspectCommand(u *ui) *cobra.Command {
	var config string
	c := command(u, "inspect [--config FILE] FILE...", text{"同じ検査をして、何も書かない", "the same examination, nothing written"},
		text{
			"無害化すると何が取り除かれるか、無害な形を作れるかを表示します。",
			"Shows what would be taken out of each file, and whether a harmless form can be\nmade.",
		}, "0123",
		func(cmd *cobra.Command, args []string) error {
			return treatFiles(cmd.Context(), u, args, "auto", "", config, false)
		})
	c.Flags().StringVar(&config, "config", "", u.tr("変換コマンドを読む設定ファイル", "configuration whose converters are used"))
	argument(c.Flags(), "config", "FILE")
	c.Args = someFiles(u)
	example(c, "sekisho inspect order.xlsm")
	return c
}

func someFiles(u *ui) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return u.usage("%s にはファイルが必要です", "%s wants at least one file", cmd.CommandPath())
		}
		return nil
	}
}

// fileRules are what a file at hand is treated by: every class but programs
// and what is encrypted or unknown, as far as there is a sanitizer; everything
// else is refused. auto walks the ladder; another mode is that step alone.
func fileRules(u *ui, mode string) (map[sanitize.Class]sanitize.Rule, error) {
	step := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	// What has further steps: the whole ladder, or one of it alone.
	documents := []sanitize.Class{sanitize.ClassOffice, sanitize.ClassLegacyOffice, sanitize.ClassPDF, sanitize.ClassIchitaro}
	rules := map[sanitize.Class]sanitize.Rule{}
	rebuilt := []sanitize.Class{sanitize.ClassText, sanitize.ClassCSV, sanitize.ClassImage, sanitize.ClassOffice, sanitize.ClassMessage,
		sanitize.ClassCalendar, sanitize.ClassPDF, sanitize.ClassLegacyOffice, sanitize.ClassArchive}
	switch mode {
	case "auto":
		for _, c := range append(rebuilt, sanitize.ClassHTML) {
			rules[c] = step
		}
		for _, c := range documents {
			rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Convert, sanitize.Flatten, sanitize.Text}}
		}
		// Its rebuild is an experiment that only a profile asks for.
		rules[sanitize.ClassIchitaro] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Convert, sanitize.Flatten, sanitize.Text}}
	case "rebuild", "strip":
		for _, c := range rebuilt {
			rules[c] = step
		}
	case "text":
		rules[sanitize.ClassHTML], rules[sanitize.ClassText] = step, step
		for _, c := range documents {
			rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Text}}
		}
	case "convert":
		for _, c := range documents {
			rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Convert}}
		}
	case "flatten":
		for _, c := range append(documents, sanitize.ClassHTML, sanitize.ClassCSV, sanitize.ClassText) {
			rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Flatten}}
		}
	default:
		return nil, u.usage("--mode %q は使えません。auto、rebuild、convert、flatten、text のいずれかです", "--mode %q: want auto, rebuild, convert, flatten or text", mode)
	}
	return rules, nil
}

// maxWorkers bounds how many files are in hand at once: each may hold 256 MiB
// of input, as much of output, and the worker's memory.
const maxWorkers = 16

// manyFiles are worth a process that forks the workers and lends them its one
// empty network: a tenth of the processor time of small documents, for a
// self-test of some milliseconds before the first.
const manyFiles = 8

func treatFiles(ctx context.Context, u *ui, files []string, mode, out, config string, write bool) error {
	rules, err := fileRules(u, mode)
	if err != nil {
		return err
	}
	var converters []sanitize.Converter
	if config != "" && (mode == "auto" || mode == "convert") {
		if converters, err = u.converters(ctx, config); err != nil {
			return err
		}
	}
	bin, err := u.beside("sekisho-sanitizer")
	if err != nil {
		return err
	}
	if out != "" {
		if out, err = filepath.Abs(out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		if err := os.MkdirAll(out, 0o777); err != nil {
			return u.failure("--out のフォルダーを作れません: %s", "cannot make the folder of --out: %s", u.system(err))
		}
	}
	t := &fileTreater{u: u, runner: worker.Runner{Binary: bin, Profile: sandbox.Worker(), Tools: &worker.Tools{Launcher: bin}}, rules: rules, converters: converters, out: out, write: write}

	if len(files) >= manyFiles {
		// Where they cannot share a network each has its own, which takes longer
		// and is no less safe.
		starter, _ := sandbox.OpenStarter(ctx, bin, sandbox.Worker())
		defer starter.Close()
		t.runner.Starter, t.runner.Tools.Starter = starter, starter
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type finished struct {
		i int
		r fileResult
	}
	pages := make([]atomic.Uint64, len(files)) // of each file how many are drawn, and of how many
	next := make(chan int)
	done := make(chan finished)
	workers := min(runtime.NumCPU(), maxWorkers, len(files))
	// At most this many results wait for a slower one before them: each holds
	// an open file.
	ahead := make(chan struct{}, 64+workers)
	go func() {
		defer close(next)
		for i := range files {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	left := make(chan struct{})
	for range workers {
		go func() {
			defer func() { left <- struct{}{} }()
			for i := range next {
				r := t.treat(ctx, files[i], func(done, of int) { pages[i].Store(uint64(done)<<32 | uint64(of)) })
				done <- finished{i, r}
			}
		}()
	}

	// Results come as they are finished and go out in the order of the
	// arguments; so does the naming of outputs, so that which of two files
	// gets a name does not depend on the weather.
	bar := newProgress(len(files))
	tick := time.NewTicker(200 * time.Millisecond) // a shorter work shows no bar
	defer tick.Stop()
	waiting := map[int]fileResult{}
	var status ended
	var broken error
	at, treated, shown := 0, 0, 0
	for workers > 0 {
		select {
		case <-tick.C:
			if at < len(files) {
				what, drawn := filepath.Base(files[at]), pages[at].Load()
				page, of := int(drawn>>32), int(drawn&math.MaxUint32)
				if of > 0 {
					what = fmt.Sprintf(u.tr("%d/%d ページ %s", "page %d/%d %s"), page, of, what)
					if mode == "flatten" {
						bar.tell(what, time.Now())
					}
				}
				bar.show(treated, what, page, of)
			}
		case <-left:
			workers--
		case f := <-done:
			treated++
			waiting[f.i] = f.r
			for r, ok := waiting[at]; ok; r, ok = waiting[at] {
				delete(waiting, at)
				<-ahead
				at++
				if ctx.Err() != nil {
					// What was cut off is no result; what follows is none either.
					r.discard()
					continue
				}
				shown++
				t.publish(&r)
				bar.clear()
				if broken = t.print(r); broken != nil {
					cancel()
				}
				switch {
				case r.failed != nil:
					status = exitFailed
				case r.Outcome == sanitize.Refused.String() && status == exitDone:
					status = exitRefused
				}
			}
		}
	}
	bar.clear()
	for _, r := range waiting {
		r.discard()
	}
	switch {
	case broken != nil:
		return broken
	case ctx.Err() != nil:
		return &told{
			text: u.tr("中断しました", "interrupted"),
			hint: fmt.Sprintf(u.tr("%d 個のうち %d 個を処理しました", "of %d files %d are done"), len(files), shown),
		}
	case status != exitDone:
		return status
	default:
		return nil
	}
}
