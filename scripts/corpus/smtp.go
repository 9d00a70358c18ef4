package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// listening waits for the address of the listener in the gateway's log.
func listening(logName string) (string, error) {
	for range 300 {
		b, err := os.ReadFile(logName)
		if err != nil {
			return "", err
		}
		addr := ""
		for _, l := range bytes.Split(b, []byte("\n")) {
			var e struct{ Msg, Rule, Hop string }
			if json.Unmarshal(l, &e) != nil {
				continue
			}
			if e.Msg == "listening" && e.Rule == "mx" {
				addr = e.Hop
			}
			if e.Msg == "started" {
				return addr, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", fmt.Errorf("the gateway does not start; see %s", logName)
}

// send hands one mail over, octets as they are, and returns what the server
// said last.
func send(addr, to string, body []byte) (string, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(120 * time.Second))
	r := bufio.NewReader(c)
	answer := func() (string, error) {
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				return "", err
			}
			if len(l) > 3 && l[3] == ' ' {
				return strings.TrimRight(l, "\r\n"), nil
			}
		}
	}
	last, err := answer()
	for _, l := range []string{"EHLO client.example", "MAIL FROM:<sender@partner.example> BODY=8BITMIME", "RCPT TO:<" + to + ">", "DATA"} {
		if err != nil || last[0] > '3' {
			return last, err
		}
		if _, err = io.WriteString(c, l+"\r\n"); err == nil {
			last, err = answer()
		}
	}
	if err != nil || last[0] > '3' {
		return last, err
	}
	dotted := bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(dotted, []byte(".")) {
		dotted = append([]byte("."), dotted...)
	}
	if !bytes.HasSuffix(dotted, []byte("\r\n")) {
		dotted = append(dotted, "\r\n"...)
	}
	if _, err := c.Write(append(dotted, ".\r\n"...)); err != nil {
		return "", err
	}
	if last, err = answer(); err == nil {
		_, _ = io.WriteString(c, "QUIT\r\n")
	}
	return last, err
}
