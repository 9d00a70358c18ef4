// Corpus runs the gateway over a collection of real mails and documents that
// lies beside the project and prints what became of each kind: how many were
// delivered, held or refused, and why. It is for measuring, not a test: the
// collection is not part of the project.
//
//	go run ./scripts/corpus --bin bin --corpus ../shared/corpus mail
//	go run ./scripts/corpus --bin bin --corpus ../shared/corpus --judges words,validity,pages office [docx|xlsx|pptx|doc|rtf|xls|ppt|odf ...]
//	go run ./scripts/corpus --bin bin --corpus ../shared/corpus pdf
//	go run ./scripts/corpus --bin bin --corpus ../shared/corpus --most 30m flatten [docx|xls|... ]
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"sekisho/internal/smtptest"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the three binaries")
	corpus := flag.String("corpus", "../shared/corpus", "folder with MANIFEST.tsv")
	judges := flag.String("judges", "words,validity", "who compares documents before and after: words (LibreOffice), validity (Open XML SDK), pages (drawn by LibreOffice), poi (Apache POI), readers (openpyxl, python-docx, odfpy), again (a second treatment, which must change nothing)")
	most := flag.Duration("most", 0, "end flatten after this time, having taken a file of each folder in turn; 0: take all")
	flag.Parse()
	c := collection{dir: *corpus}
	err := c.load()
	if errors.Is(err, os.ErrNotExist) {
		fmt.Printf("corpus: %s is not there; nothing was measured\n", *corpus)
		return
	}
	b, berr := filepath.Abs(*bin)
	if err = errors.Join(err, berr); err == nil {
		switch flag.Arg(0) {
		case "mail":
			err = c.mail(b)
		case "office":
			folders := flag.Args()[1:]
			if len(folders) == 0 {
				folders = []string{"docx", "xlsx", "pptx", "odf"}
			}
			err = c.office(b, strings.Split(*judges, ","), folders)
		case "pdf":
			err = c.pdf(b, *judges != "")
		case "flatten":
			folders := flag.Args()[1:]
			if len(folders) == 0 {
				folders = []string{"docx", "xlsx", "pptx", "doc", "xls", "ppt", "rtf", "odf", "xlsb", "xml"}
			}
			err = c.flatten(b, folders, *most)
		default:
			err = errors.New("want mail, office, pdf or flatten")
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "corpus: %v\n", err)
		os.Exit(1)
	}
}

// row is a line of the manifest.
type row struct{ path, kind, expect string }

func (r row) has(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(strings.Split(r.expect, ","), w) })
}

type collection struct {
	dir  string
	rows []row
}

func (c *collection) load() error {
	f, err := os.Open(filepath.Join(c.dir, "MANIFEST.tsv"))
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	var head []string
	for s.Scan() {
		cols := strings.Split(s.Text(), "\t")
		if head == nil {
			head = cols
			continue
		}
		get := func(name string) string {
			if i := slices.Index(head, name); i >= 0 && i < len(cols) {
				return cols[i]
			}
			return ""
		}
		c.rows = append(c.rows, row{get("path"), get("true_type"), get("expectations")})
	}
	return s.Err()
}

func (c *collection) under(folder string) []row {
	var rs []row
	for _, r := range c.rows {
		if strings.HasPrefix(r.path, folder+"/") {
			rs = append(rs, r)
		}
	}
	return rs
}

const configuration = `hostname: mx.town.example.lg.jp
data_dir: %[1]s/data
listeners:
  - { name: mx, zone: internet, listen: ["127.0.0.1:0"], peers: ["127.0.0.1"] }
limits: { held_bytes_per_peer_hour: 1000GiB }
tenants:
  - { id: town, domains: [town.example.lg.jp] }
hops:
  - { name: town-mail, network: local, hosts: [%[2]q] }
routes:
  - { domain: town.example.lg.jp, hop: town-mail }
metrics: { listen: "" }
senders: { check: off }  # mail of others, sent by us, has no sender that could be proved
`

// treatedKinds are the kinds of which a harmless form is made.
var treatedKinds = []string{
	"docx", "docm", "dotx", "dotm", "xlsx", "xlsm", "xltx", "xltm", "pptx", "pptm", "ppsx", "ppsm", "potx", "potm",
	"odt", "ods", "odp", "odg", "ott", "ots", "otp", "otg", "fodt", "fods", "fodp", "fodg",
	"png", "jpeg", "svg", "text", "csv", "tsv", "html", "ics", "vcf", "message", "empty", "zip",
}

var severalFrom = regexp.MustCompile(`(?im)^from[ \t]*:`)

// mail sends every mail, its line ends made CRLF and an mbox first line taken
// off, each to a recipient of its own, and counts.
func (c *collection) mail(bin string) error {
	dir, err := os.MkdirTemp("", "sekisho-corpus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var sink smtptest.Sink
	if err := sink.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	defer sink.Close()
	file := filepath.Join(dir, "sekisho.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, dir, sink.Addr()), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	g := exec.Command(filepath.Join(bin, "sekishod"), "--config", file)
	g.Stderr = log
	if err := g.Start(); err != nil {
		return err
	}
	defer func() {
		_ = g.Process.Signal(syscall.SIGTERM)
		_ = g.Wait()
	}()
	mx, err := listening(log.Name())
	if err != nil {
		return err
	}
	rows := c.under("eml")
	start := time.Now()
	answers := make([]string, len(rows))
	for i, r := range rows {
		b, err := os.ReadFile(filepath.Join(c.dir, r.path))
		if err != nil {
			return err
		}
		if bytes.HasPrefix(b, []byte("From ")) {
			if _, rest, ok := bytes.Cut(b, []byte("\n")); ok {
				b = rest
			}
		}
		if answers[i], err = send(mx, fmt.Sprintf("m%05d@town.example.lg.jp", i), crlf(b)); err != nil {
			answers[i] = "no answer: " + err.Error()
		}
	}
	cli := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(bin, "sekisho"), append([]string{"--socket", filepath.Join(dir, "data", "admin.sock")}, args...)...).Output()
		return string(out), err
	}
	for {
		out, err := cli("queue", "list", "--json")
		if err != nil {
			return fmt.Errorf("queue list: %w", err)
		}
		if out == "" {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	took := time.Since(start)
	arrived := map[string]bool{}
	for _, t := range sink.Delivered() {
		for _, to := range t.To {
			arrived[to] = true
		}
	}
	type entry struct {
		To      []string
		Rule    string
		Reasons []string
		Parts   []string
	}
	held, parts := map[string]entry{}, map[string][]string{}
	out, err := cli("quarantine", "list", "--json")
	if err != nil {
		return fmt.Errorf("quarantine list: %w", err)
	}
	for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
		var e entry
		if json.Unmarshal([]byte(l), &e) != nil {
			continue
		}
		for _, to := range e.To {
			if len(e.Parts) == 0 {
				held[to] = e
			} else {
				parts[to] = append(parts[to], e.Reasons...)
			}
		}
	}
	all, honest := map[string]int{}, map[string]int{}
	reasons := map[string][]string{}
	whole, other := 0, map[string]int{}
	for i, r := range rows {
		to := fmt.Sprintf("m%05d@town.example.lg.jp", i)
		what, why := "lost", answers[i]
		switch e, ok := held[to]; {
		case arrived[to]:
			what = "delivered"
		case ok:
			what, why = "held", e.Rule
		case strings.HasPrefix(answers[i], "4"), strings.HasPrefix(answers[i], "5"):
			what = "refused"
		}
		all[what]++
		b, err := os.ReadFile(filepath.Join(c.dir, r.path))
		if err != nil {
			return err
		}
		head, _, _ := bytes.Cut(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
		if r.has("benign") && len(severalFrom.FindAll(head, 2)) < 2 {
			honest[what]++
			if what != "delivered" {
				reasons[what+" "+why] = append(reasons[what+" "+why], r.path)
				continue
			}
			lacks := false
			for _, p := range parts[to] {
				// A reason is "PATH: KIND: why".
				_, rest, _ := strings.Cut(p, ": ")
				kind, _, _ := strings.Cut(rest, ": ")
				if strings.HasSuffix(p, "no sanitizer for this kind") {
					other[kind]++ // itself, or all that an archive holds
					continue
				}
				if !slices.Contains(treatedKinds, kind) {
					other[kind]++
					continue
				}
				lacks = true
				reasons["delivered without a file of a treated kind"] = append(reasons["delivered without a file of a treated kind"], r.path+": "+p)
			}
			if !lacks {
				whole++
			}
		}
	}
	fmt.Printf("mail: %d in %.0f s: %s\n", len(rows), took.Seconds(), counts(all))
	fmt.Printf("flagged benign, without several From: %s; delivered %.1f %%\n", counts(honest), share(honest, "delivered"))
	total := 0
	for _, n := range honest {
		total += n
	}
	fmt.Printf("with their body and every file of a kind that is treated: %d of %d = %.1f %%; kept back of kinds that nothing treats: %s\n",
		whole, total, 100*float64(whole)/float64(max(total, 1)), counts(other))
	for _, why := range sortedKeys(reasons) {
		fmt.Printf("  %3d %s\n", len(reasons[why]), why)
		for _, p := range reasons[why] {
			fmt.Printf("        %s\n", p)
		}
	}
	if all["lost"] > 0 {
		return fmt.Errorf("%d mails are neither delivered, held nor refused", all["lost"])
	}
	return nil
}

// crlf makes every line end a CRLF, those of old Macs included.
func crlf(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

type result struct {
	File, Kind, Outcome, Mode, Output, Error string
	OutKind                                  string `json:"out_kind"`
}

// office treats every Office document and has other programs judge the outputs.
func (c *collection) office(bin string, judges []string, folders []string) error {
	check, err := filepath.Abs(filepath.Join(c.dir, "check", "cdrcheck.py"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		out, err := os.MkdirTemp("", "sekisho-corpus-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(out)
		rows := c.under(folder)
		// A docm and a docx of one name would have outputs of one name: they go
		// into folders of their own, in as many calls as there are folders.
		seen := map[string]int{}
		var batches [][]row
		for _, r := range rows {
			stem := strings.TrimSuffix(filepath.Base(r.path), filepath.Ext(r.path))
			n := seen[stem]
			seen[stem]++
			if n == len(batches) {
				batches = append(batches, nil)
			}
			batches[n] = append(batches[n], r)
		}
		rows = nil
		var raw []byte
		start := time.Now()
		for i, batch := range batches {
			args := []string{"sanitize", "--json", "--out", filepath.Join(out, fmt.Sprint(i))}
			for _, r := range batch {
				args = append(args, filepath.Join(c.dir, r.path))
			}
			b, err := exec.Command(filepath.Join(bin, "sekisho"), args...).Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return err
			}
			raw, rows = append(raw, b...), append(rows, batch...)
		}
		took := time.Since(start)
		benign, active, failed := map[string]int{}, map[string]int{}, 0
		var outputs, inputs []string
		lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
		if len(lines) != len(rows) {
			return fmt.Errorf("%d results for %d files", len(lines), len(rows))
		}
		for i, l := range lines {
			var r result
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				return err
			}
			what := r.Outcome
			if what != "refused" {
				what += " by " + r.Mode
			}
			if rows[i].has("benign") {
				benign[what]++
			}
			if rows[i].has("has_vba", "has_vba_part", "has_activex", "has_ole_embedded", "has_external_rel", "has_external_template", "has_externallink", "has_xlm_part", "has_dde",
				"has_ole_embedded_rec", "has_ole10native", "has_macro_storage", "has_xlm", "ppt_vba",
				"has_basic", "odf_eventlistener", "odf_macroref", "odf_extlink", "odf_extimage", "odf_plugin") && !rows[i].has("encrypted") {
				active[what]++
			}
			if r.Outcome == "refused" {
				fmt.Printf("  refused %s: %s\n", rows[i].path, r.Error)
				continue
			}
			if r.Output == "" {
				return fmt.Errorf("%s has no output: %s", rows[i].path, r.Error)
			}
			outputs, inputs = append(outputs, r.Output), append(inputs, filepath.Join(c.dir, rows[i].path))
			if b, err := exec.Command("python3", check, r.Output).CombinedOutput(); err != nil {
				failed++
				fmt.Printf("  cdrcheck %s: %s\n", rows[i].path, bytes.TrimSpace(b))
			}
		}
		fmt.Printf("%s: %d files in %.1f s (%.1f a second); benign: %s; flagged active and not encrypted: %s; cdrcheck fails on %d of %d outputs\n",
			folder, len(rows), took.Seconds(), float64(len(rows))/took.Seconds(), counts(benign), counts(active), failed, len(outputs))
		for _, j := range judges {
			by, ok := map[string]func(string, []string, []string) error{"words": words, "validity": valid, "pages": pages, "poi": poi, "readers": readers, "again": again(bin), "": nothing}[j]
			if !ok {
				return fmt.Errorf("no judge %q: words, validity, pages, poi, readers and again are there", j)
			}
			if err := by(folder, inputs, outputs); err != nil {
				return err
			}
		}
		if failed > 0 {
			return fmt.Errorf("cdrcheck fails on %d outputs", failed)
		}
	}
	return nil
}

func nothing(string, []string, []string) error { return nil }

// again treats what was written a second time: nothing may be left to take, and
// the octets stay the same.
func again(bin string) func(string, []string, []string) error {
	return func(folder string, before, after []string) error {
		out, err := os.MkdirTemp("", "sekisho-again-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(out)
		clean, equal := 0, 0
		for i, f := range after {
			// One at a time: outputs of one name would get in each other's way.
			dir := filepath.Join(out, fmt.Sprint(i))
			raw, err := exec.Command(filepath.Join(bin, "sekisho"), "sanitize", "--json", "--out", dir, f).Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return err
			}
			var r result
			if err := json.Unmarshal(raw, &r); err != nil {
				return err
			}
			if r.Outcome != "clean" {
				fmt.Printf("  a second time %s: %s %s\n", r.Outcome, filepath.Base(before[i]), r.Error)
			} else {
				clean++
			}
			if r.Output == "" {
				continue
			}
			a, aerr := os.ReadFile(f)
			b, berr := os.ReadFile(r.Output)
			if err := errors.Join(aerr, berr); err != nil {
				return err
			}
			if bytes.Equal(a, b) {
				equal++
			} else {
				fmt.Printf("  a second time other octets: %s\n", filepath.Base(before[i]))
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		fmt.Printf("%s: of %d treated a second time %d are clean, %d have the same octets\n", folder, len(after), clean, equal)
		return nil
	}
}

func counts(m map[string]int) string {
	var words []string
	for _, k := range sortedKeys(m) {
		words = append(words, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(words, ", ")
}

func share(m map[string]int, k string) float64 {
	n := 0
	for _, v := range m {
		n += v
	}
	return 100 * float64(m[k]) / float64(max(n, 1))
}

func sortedKeys[V any](m map[string]V) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	return ks
}
