// Package scantest is a stand-in for clamd that can be down, slow, lying or
// out of date, for tests. It speaks clamd's protocol on a socket and looks for
// the EICAR test string; everything else about it is what the test says.
package scantest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// EICAR returns the test string that every antivirus calls malware and that
// harms nobody (eicar.org). It is put together here so that no antivirus finds
// this source.
func EICAR() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE` + `!$H+H*`)
}

// Mood is how the stand-in behaves.
type Mood string

// The moods. Well is what a good clamd does.
const (
	Well     Mood = "well"
	Slow     Mood = "slow"     // lives, and never answers about a message
	Stuck    Mood = "stuck"    // answers nothing at all
	Garbage  Mood = "garbage"  // answers with what is no answer
	Huge     Mood = "huge"     // answers without end
	Cut      Mood = "cut"      // answers half
	Hangup   Mood = "hangup"   // closes without an answer
	Busy     Mood = "busy"     // cannot scan just now
	TooLarge Mood = "toolarge" // takes no message of this size
	Old      Mood = "old"      // scans with signatures of last month
	Hasty    Mood = "hasty"    // calls clean what it has not read
	Undated  Mood = "undated"  // scans, and does not say how old its signatures are
)

// Clamd is the stand-in. Listen starts it.
type Clamd struct {
	mood    atomic.Value
	scanned atomic.Int64
	mu      sync.Mutex
	l       net.Listener
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

// Listen starts it at an address (HOST:PORT or unix:PATH) in the mood Well.
func (c *Clamd) Listen(address string) error {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if c.mood.Load() == nil {
		c.mood.Store(Well)
	}
	c.mu.Lock()
	c.l, c.conns = l, map[net.Conn]bool{}
	c.mu.Unlock()
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns[conn] = true
			c.mu.Unlock()
			c.wg.Add(1)
			go func() {
				defer c.wg.Done()
				c.serve(conn)
				conn.Close()
				c.mu.Lock()
				delete(c.conns, conn)
				c.mu.Unlock()
			}()
		}
	}()
	return nil
}

// Addr is where it listens, as a configuration writes it.
func (c *Clamd) Addr() string {
	a := c.l.Addr()
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// Be changes the mood.
func (c *Clamd) Be(m Mood) { c.mood.Store(m) }

// Scanned is how many messages it has answered about.
func (c *Clamd) Scanned() int64 { return c.scanned.Load() }

// Close stops it and cuts its connections.
func (c *Clamd) Close() {
	c.mu.Lock()
	if c.l != nil {
		c.l.Close()
	}
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

func (c *Clamd) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	command, err := r.ReadString(0)
	if err != nil {
		return
	}
	mood := c.mood.Load().(Mood)
	if mood == Stuck {
		_, _ = io.Copy(io.Discard, r) // until the other side goes
		return
	}
	switch strings.Trim(command, "z\x00") {
	case "PING":
		if mood == Garbage {
			fmt.Fprint(conn, "GNOP\x00")
			return
		}
		fmt.Fprint(conn, "PONG\x00")
	case "VERSION":
		made := time.Now()
		if mood == Old {
			made = made.Add(-30 * 24 * time.Hour)
		}
		if mood == Undated {
			fmt.Fprint(conn, "ClamAV 1.4.3\x00")
			return
		}
		fmt.Fprintf(conn, "ClamAV 1.4.3/27500/%s\x00", made.Format(time.ANSIC))
	case "INSTREAM":
		c.instream(conn, r, mood)
	}
}

func (c *Clamd) instream(conn net.Conn, r io.Reader, mood Mood) {
	if mood == Hasty {
		fmt.Fprint(conn, "stream: OK\x00")
		return
	}
	if mood == TooLarge {
		fmt.Fprint(conn, "INSTREAM size limit exceeded. ERROR\x00")
		return
	}
	var message bytes.Buffer
	for {
		var n uint32
		if err := binary.Read(r, binary.BigEndian, &n); err != nil {
			return
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(&message, r, int64(n)); err != nil {
			return
		}
	}
	answer := "stream: OK\x00"
	if bytes.Contains(message.Bytes(), EICAR()) {
		answer = "stream: Eicar-Test-Signature FOUND\x00"
	}
	switch mood {
	case Slow:
		_, _ = io.Copy(io.Discard, r)
		return
	case Garbage:
		answer = "stream: OK, more or less\x00"
	case Huge:
		for {
			if _, err := conn.Write(bytes.Repeat([]byte("stream: OK "), 1000)); err != nil {
				return
			}
		}
	case Cut:
		answer = "stream: O"
	case Hangup:
		return
	case Busy:
		answer = "stream: Can't allocate memory ERROR\x00"
	}
	c.scanned.Add(1)
	_, _ = io.WriteString(conn, answer)
}
