package smtptest

import (
	"context"
	"net/smtp"
	"testing"
	"time"
)

// The client here is the standard library's, so that the sink is not judged by
// the one it was written to test.
func TestSinkRecordsWhatCame(t *testing.T) {
	s := &Sink{Script: func(c Call) Act {
		if c.Stage == StageRcpt && c.Address == "no@b.example" {
			return Act{Reply: "550 5.1.1 unknown"}
		}
		return Act{}
	}}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("a@a.example"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("no@b.example"); err == nil {
		t.Error("the script's 550 did not arrive")
	}
	if err := c.Rcpt("yes@b.example"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Subject: x\r\n\r\n.dot\r\n..\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ms, err := s.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := ms[0]
	if m.From != "a@a.example" || len(m.To) != 1 || m.To[0] != "yes@b.example" || string(m.Data) != "Subject: x\r\n\r\n.dot\r\n..\r\n" {
		t.Errorf("recorded %+v with %q", m, m.Data)
	}
}

func TestSinkResetInTheBodyIsNoDelivery(t *testing.T) {
	s := &Sink{Script: func(c Call) Act {
		if c.Stage == StageBody {
			return Act{Reset: true, After: 10}
		}
		return Act{}
	}}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err := smtp.SendMail(s.Addr(), nil, "a@a.example", []string{"b@b.example"}, []byte("Subject: x\r\n\r\nlong enough\r\n"))
	if err == nil {
		t.Error("the client was told that all is well")
	}
	if n := len(s.Delivered()); n != 0 {
		t.Errorf("%d messages count as delivered, want 0", n)
	}
}
