package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A run is what one load did to a target.
type run struct {
	accepted  float64 // messages a second until the last 250
	delivered float64 // messages a second until the last one was at the sink
	cpu       float64 // CPU seconds of the target's processes per 1,000 messages
}

// patience is how long a run may take beyond what was asked for.
const patience = time.Minute

// load sends the mail n times over c connections, a connection for each
// message, as strangers do, and waits until all have arrived.
func (b *bench) load(g *target, data []byte, c, n int) (run, error) {
	before, err := cpuTime(g.pid)
	if err != nil {
		return run{}, err
	}
	have := b.sink.count()
	start := time.Now()
	if err := b.send(g, data, c, n); err != nil {
		return run{}, err
	}
	accepted := time.Since(start)
	last, err := b.sink.wait(have+n, time.Now().Add(patience))
	if err != nil {
		return run{}, err
	}
	delivered := last.Sub(start)
	// What follows the answer to the final dot belongs to the message, too.
	time.Sleep(200 * time.Millisecond)
	after, err := cpuTime(g.pid)
	if err != nil {
		return run{}, err
	}
	return run{accepted: float64(n) / accepted.Seconds(), delivered: float64(n) / delivered.Seconds(),
		cpu: (after - before).Seconds() * 1000 / float64(n)}, nil
}

func (b *bench) send(g *target, data []byte, c, n int) error {
	// Postfix's own generator is C and costs the least; it knows one recipient and
	// one mail.
	source := filepath.Join(b.peers, "usr/sbin/smtp-source")
	if _, err := os.Stat(source); err == nil && b.tenants == 1 && !bytes.Contains(data, tokenLine) {
		name := filepath.Join(b.dir, "mail")
		// It adds the CR itself.
		if err := os.WriteFile(name, bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), 0o644); err != nil {
			return err
		}
		cmd := exec.Command(source, "-4", "-s", strconv.Itoa(c), "-m", strconv.Itoa(n), "-C", "100", "-M", "bench.example.org",
			"-f", "taro@example.org", "-t", recipient, "-F", name, g.addr)
		cmd.Env = append(os.Environ(), b.libraries())
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("smtp-source: %w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}
	jobs := make(chan int)
	go func() {
		defer close(jobs)
		for i := range n {
			jobs <- i
		}
	}()
	var wg sync.WaitGroup
	errs := make([]error, c)
	for i := range c {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range jobs {
				if errs[i] != nil {
					continue // the others must not wait for ever
				}
				tenant := rand.IntN(b.tenants)
				_, errs[i] = deliver(g.addr, to(tenant), numbered(data, n, tenant))
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// deliver is one SMTP session with one message: one command, one answer. It
// returns when the 250 came.
func deliver(addr, rcpt string, data []byte) (time.Time, error) {
	c, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	step := func(command, want string) error {
		if command != "" {
			if _, err := io.WriteString(c, command+"\r\n"); err != nil {
				return err
			}
		}
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if len(l) < 4 || l[:3] != want {
				return fmt.Errorf("%s: %s", command, strings.TrimSpace(l))
			}
			if l[3] == ' ' {
				return nil
			}
		}
	}
	for _, s := range [][2]string{{"", "220"}, {"EHLO bench.example.org", "250"}, {"MAIL FROM:<taro@example.org>", "250"}, {"RCPT TO:<" + rcpt + ">", "250"}, {"DATA", "354"}} {
		if err := step(s[0], s[1]); err != nil {
			return time.Time{}, err
		}
	}
	// No line of these mails begins with a dot.
	if _, err := c.Write(append(data, ".\r\n"...)); err != nil {
		return time.Time{}, err
	}
	if err := step("", "250"); err != nil {
		return time.Time{}, err
	}
	done := time.Now()
	return done, step("QUIT", "221")
}

// latency sends at a fixed rate, whatever the answers do, over at most c
// connections at a time, and measures from the connection to the 250 and from
// the 250 to the arrival at the sink.
func (b *bench) latency(g *target, name string, data []byte, c int, rate float64) error {
	n := max(20, int(rate*b.seconds.Seconds()))
	if b.sink.count() > 0 {
		b.sink.forget()
	}
	slots := make(chan struct{}, c)
	var mu sync.Mutex
	accept, answered := []time.Duration{}, map[string]time.Time{}
	var failed error
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		start := time.Now()
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			tenant := rand.IntN(b.tenants)
			done, err := deliver(g.addr, to(tenant), numbered(data, i, tenant))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
			accept = append(accept, done.Sub(start))
			answered[fmt.Sprintf("bench-%08d", i)] = done
		}()
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	if _, err := b.sink.wait(n, time.Now().Add(patience)); err != nil {
		return err
	}
	arrived := b.sink.arrivals()
	var through []time.Duration
	for m, t := range answered {
		a, ok := arrived[m]
		if !ok {
			return fmt.Errorf("%s did not arrive", m)
		}
		through = append(through, a.Sub(t))
	}
	v := map[string]float64{"per_s": rate,
		"accept_p50_ms": ms(percentile(accept, 50)), "accept_p95_ms": ms(percentile(accept, 95)), "accept_p99_ms": ms(percentile(accept, 99)),
		"to_sink_p50_ms": ms(percentile(through, 50)), "to_sink_p99_ms": ms(percentile(through, 99))}
	fmt.Printf("      at %.0f/s (80 %%): accept p50 %.0f, p95 %.0f, p99 %.0f ms; from 250 to the sink p50 %.0f, p99 %.0f ms\n",
		rate, v["accept_p50_ms"], v["accept_p95_ms"], v["accept_p99_ms"], v["to_sink_p50_ms"], v["to_sink_p99_ms"])
	return b.record(figure{Name: name + ".latency", Values: v})
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

func percentile(ds []time.Duration, p int) time.Duration {
	slices.Sort(ds)
	return ds[min(len(ds)-1, len(ds)*p/100)]
}

// A sink is the server behind the target. It takes everything and notes when.
type sink struct {
	l  net.Listener
	mu sync.Mutex
	n  int
	// last is when the last message came, at holds the first arrival of each
	// mark.
	last time.Time
	at   map[string]time.Time
	more chan struct{}
}

func newSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l: l, at: map[string]time.Time{}, more: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, nil
}

func (s *sink) close() { s.l.Close() }

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	say := func(t string) bool { _, err := io.WriteString(c, t+"\r\n"); return err == nil }
	say("220 sink.example ESMTP")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		answer := "250 2.0.0 ok"
		switch verb := strings.ToUpper(string(line[:min(4, len(line))])); verb {
		case "EHLO":
			answer = "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100000000"
		case "DATA":
			if !say("354 go on") {
				return
			}
			name := ""
			for {
				line, err := r.ReadSlice('\n')
				if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
					return
				}
				if string(line) == ".\r\n" {
					break
				}
				if name == "" && bytes.HasPrefix(line, []byte("Subject: bench-")) {
					name = strings.TrimSpace(string(line[len("Subject: "):]))
				}
			}
			s.took(name)
		case "QUIT":
			say("221 2.0.0 bye")
			return
		}
		// An answer for each command, at once for those that came together.
		if !say(answer) {
			return
		}
	}
}

func (s *sink) took(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.last = time.Now()
	if _, ok := s.at[name]; !ok {
		s.at[name] = s.last
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.at = 0, map[string]time.Time{}
}

func (s *sink) arrivals() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// wait waits for the n-th message and says when it came.
func (s *sink) wait(n int, until time.Time) (time.Time, error) {
	for {
		s.mu.Lock()
		have, last := s.n, s.last
		s.mu.Unlock()
		if have >= n {
			return last, nil
		}
		select {
		case <-s.more:
		case <-time.After(time.Until(until)):
			return last, fmt.Errorf("%d of %d messages arrived", have, n)
		}
	}
}
