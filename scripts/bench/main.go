// Bench measures the gateway on this machine and prints what it found: mail a
// second with full treatment and durable acceptance, what it costs in CPU time,
// how long a mail is on its way, files a second on the command line, and peak
// memory. Where Postfix was unpacked (make deps) and this is root, Postfix
// relays the same mail in the same run: on a machine shared with others only
// the ratio of the two means anything.
//
// Everything runs on loopback with a store of its own and is gone afterwards.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

type bench struct {
	bin     string // the three binaries
	peers   string // unpacked Postfix, "" if none
	dir     string // ours, for stores and files
	seconds time.Duration
	runs    int
	tenants int
	conns   []int // instead of each kind's own; nil: those
	cold    bool  // measure at once, see settle
	json    io.Writer

	profiles string // of the configuration; "": the default one
	sink     *sink

	// What the gateway delivered, by the figure's name.
	delivered map[string]float64
}

// A figure is one line of the result.
type figure struct {
	Name   string             `json:"name"`
	Values map[string]float64 `json:"values"`
	Note   string             `json:"note,omitempty"`
}

func main() {
	b := &bench{}
	var only, out string
	flag.StringVar(&b.bin, "bin", "bin", "folder with the three binaries")
	flag.StringVar(&b.peers, "peers", ".cache/peers", "folder into which Postfix was unpacked")
	flag.DurationVar(&b.seconds, "time", 3*time.Second, "about how long one figure of mail is measured")
	flag.IntVar(&b.runs, "runs", 3, "runs of each figure of mail; the median is printed")
	flag.IntVar(&b.tenants, "tenants", 1, "tenants that the mail goes to, in random order (more than one: without smtp-source)")
	flag.BoolVar(&b.cold, "cold", false, "measure at once: do not wait for the converters, which a gateway starts half a minute after itself")
	flag.Func("connections", "numbers of connections, with commas, instead of each kind's own", func(v string) error {
		for w := range strings.SplitSeq(v, ",") {
			n, err := strconv.Atoi(w)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no number of connections", w)
			}
			b.conns = append(b.conns, n)
		}
		return nil
	})
	flag.StringVar(&only, "only", "", "comma-separated: text, own, docx, picture, latency, memory, postfix, tenants, scanners, queue, held, files, documents, pdf, pages, peers; empty is all")
	flag.StringVar(&out, "json", "", "file that gets one line of JSON for each figure")
	flag.Parse()
	if err := b.run(only, out); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func (b *bench) run(only, out string) (err error) {
	for _, p := range []*string{&b.bin, &b.peers} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "sekisho-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	// Postfix's processes are other users and walk through here.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	b.json, b.delivered = io.Discard, map[string]float64{}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		b.json = f
	}
	want := func(name string) bool { return only == "" || slices.Contains(strings.Split(only, ","), name) }
	if b.sink, err = newSink(); err != nil {
		return err
	}
	defer b.sink.close()
	if err := b.machine(); err != nil {
		return err
	}

	var postfix map[string]float64
	if want("postfix") {
		if postfix, err = b.postfix(want); err != nil {
			return fmt.Errorf("postfix: %w", err)
		}
	}
	if want("text") || want("own") || want("docx") || want("picture") || want("latency") || want("memory") {
		g, err := b.startGateway()
		if err != nil {
			return err
		}
		err = b.relay(g, want, postfix)
		if err == nil && want("memory") {
			err = b.memory(g)
		}
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, g.complaints())
		}
		if stopErr := g.stop(); err == nil {
			err = stopErr
		}
		if err != nil {
			return err
		}
	}
	if want("tenants") && b.tenants == 1 {
		if err := b.manyTenants(want("postfix")); err != nil {
			return fmt.Errorf("many tenants: %w", err)
		}
	}
	if want("scanners") {
		if err := b.scanners(); err != nil {
			return fmt.Errorf("postfix, rspamd and clamd: %w", err)
		}
	}
	if want("queue") {
		if err := b.queue(); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if want("held") {
		if err := b.held(); err != nil {
			return fmt.Errorf("held: %w", err)
		}
	}
	if want("files") {
		if err := b.files(); err != nil {
			return err
		}
	}
	if want("documents") {
		if err := b.besideOthers(); err != nil {
			return fmt.Errorf("documents: %w", err)
		}
	}
	if want("pdf") || want("pages") || want("peers") {
		return b.pages(want)
	}
	return nil
}

// kinds are the mails measured, and at how many connections.
var kinds = []struct {
	name, what  string
	make        func() []byte
	connections []int
}{
	{"text", "text mail of 4 KiB", textMail, []int{1, 10, 50}},
	{"own", "HTML mail of 4 KiB, which needs a process of its own", htmlMail, []int{1, 10, 50}},
	{"docx", "mail of 100 KiB with a docx without pictures", docxMail, []int{10}},
	{"picture", "mail of 100 KiB with a docx with a picture of 0.35 megapixels", pictureMail, []int{10}},
}

// relay measures mail through one target. reference is what another target
// delivered, by the figure's name.
func (b *bench) relay(g *target, want func(string) bool, reference map[string]float64) error {
	if g.note != "" {
		fmt.Printf("   %s\n", g.note)
	}
	for _, k := range kinds {
		if !want(k.name) {
			continue
		}
		fmt.Printf("\n%s: %s\n", g.name, k.what)
		data := k.make()
		connections := k.connections
		if b.conns != nil {
			connections = b.conns
		}
		for _, c := range connections {
			name := fmt.Sprintf("%s.%s.c%d", g.name, k.name, c)
			// A first run, not counted, warms up and says how many messages
			// make a run of the time asked for.
			first, err := b.load(g, data, c, max(20, 2*c, 8*b.tenants))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			n := min(max(50, 2*c, 20*b.tenants, int(first.delivered*b.seconds.Seconds())), 50_000)
			var all []run
			for range b.runs {
				r, err := b.load(g, data, c, n)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all = append(all, r)
			}
			delivered, accepted, cpu := median(all, func(r run) float64 { return r.delivered }), median(all, func(r run) float64 { return r.accepted }), median(all, func(r run) float64 { return r.cpu })
			v := map[string]float64{"delivered_per_s": delivered, "accepted_per_s": accepted, "cpu_s_per_1000": cpu, "messages": float64(n)}
			line := fmt.Sprintf("   %2d connections: %7.0f messages/s delivered, %7.0f accepted, %6.2f CPU-s per 1,000", c, delivered, accepted, cpu)
			if g.reference {
				if reference != nil {
					reference[fmt.Sprintf("%s.c%d", k.name, c)] = delivered
				}
			} else {
				b.delivered[fmt.Sprintf("%s.c%d", k.name, c)] = delivered
			}
			if ref := reference[fmt.Sprintf("%s.c%d", k.name, c)]; ref > 0 && !g.reference {
				v["ratio_to_postfix"] = delivered / ref
				line += fmt.Sprintf(", %.2f x Postfix", delivered/ref)
			}
			fmt.Println(line)
			if err := b.record(figure{Name: name, Values: v}); err != nil {
				return err
			}
			if g.reference || !want("latency") {
				continue
			}
			if err := b.latency(g, name, data, c, 0.8*min(delivered, accepted)); err != nil {
				return fmt.Errorf("%s: latency: %w", name, err)
			}
		}
	}
	return nil
}

func median(rs []run, f func(run) float64) float64 {
	var vs []float64
	for _, r := range rs {
		vs = append(vs, f(r))
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

func (b *bench) record(f figure) error { return json.NewEncoder(b.json).Encode(f) }

// machine prints what these figures were taken on.
func (b *bench) machine() error {
	fsync, err := fsyncTime(b.dir)
	if err != nil {
		return err
	}
	start, err := startTime(filepath.Join(b.bin, "sekishod"))
	if err != nil {
		return err
	}
	m := machine()
	fmt.Printf("machine: %s, %d cores, Linux %s, %s, load %s\n", m.cpu, runtime.NumCPU(), m.kernel, runtime.Version(), m.load)
	fmt.Printf("fsync of 4 KiB %s (median of 200, %s); starting and ending a Go program %.1f CPU-ms (grows with the load)\n",
		fsync.Round(time.Microsecond), b.dir, ms(start))
	return b.record(figure{Name: "machine", Note: m.cpu + ", Linux " + m.kernel + ", load " + m.load,
		Values: map[string]float64{"cores": float64(runtime.NumCPU()), "fsync_ms": fsync.Seconds() * 1000, "start_cpu_ms": ms(start)}})
}
