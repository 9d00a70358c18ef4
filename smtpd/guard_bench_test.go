package smtpd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// drains is a session that reads and forgets.
type drains struct{ n int64 }

func (*drains) Reset()                               {}
func (*drains) Logout() error                        { return nil }
func (*drains) Mail(string, *smtp.MailOptions) error { return nil }
func (*drains) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (d *drains) Data(r io.Reader) (err error)       { d.n, err = io.Copy(io.Discard, r); return err }
func newDrains(*smtp.Conn) (smtp.Session, error)     { return new(drains), nil }

// BenchmarkReceive is the library alone and behind the guard, over loopback.
func BenchmarkReceive(b *testing.B) {
	line := strings.Repeat("a", 76) + "\r\n"
	for _, size := range []int{4 << 10, 5 << 20} {
		body := bytes.Repeat([]byte(line), size/len(line))
		body = append(body, ".\r\n"...)
		for _, guarded := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dKiB/guard=%v", size>>10, guarded), func(b *testing.B) {
				limits := DefaultLimits()
				limits.GreetingPause = 0
				srv := newLibrary(smtp.BackendFunc(newDrains), "mx.town.example", limits, discard)
				sock, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				var l net.Listener = sock
				if guarded {
					gate, err := NewGate(limits)
					if err != nil {
						b.Fatal(err)
					}
					l = &Listener{Listener: sock, Gate: gate, Hostname: "mx.town.example", Log: discard}
				}
				done := make(chan struct{})
				go func() { srv.Serve(l); close(done) }()
				defer func() { srv.Close(); <-done }()
				c, err := net.Dial("tcp", sock.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				r := bufio.NewReader(c)
				answer := func(code string) {
					for {
						l, err := r.ReadString('\n')
						if err != nil || !strings.HasPrefix(l, code) {
							b.Fatalf("got %q, %v, wanted %s", l, err, code)
						}
						if l[3] == ' ' {
							return
						}
					}
				}
				answer("220")
				io.WriteString(c, "EHLO c.example\r\n")
				answer("250")
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					for _, s := range []string{"MAIL FROM:<a@partner.example>\r\n", "RCPT TO:<soumu@town.example>\r\n"} {
						io.WriteString(c, s)
						answer("250")
					}
					io.WriteString(c, "DATA\r\n")
					answer("354")
					c.Write(body)
					answer("250")
				}
			})
		}
	}
}
