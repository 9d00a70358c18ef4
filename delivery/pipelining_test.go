package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/internal/smtptest"
)

// RFC 2920: MAIL, RCPT and DATA in one flight where that is offered, one by one
// where it is not.
func TestCommandsTravelTogetherOnlyWhereThatIsOffered(t *testing.T) {
	for _, offered := range []bool{true, false} {
		t.Run(fmt.Sprint(offered), func(t *testing.T) {
			var waited, together atomic.Int32
			s := startSink(t, &smtptest.Sink{Extensions: []string{"8BITMIME"}, Script: func(c smtptest.Call) smtptest.Act {
				switch c.Stage {
				case smtptest.StageMail, smtptest.StageRcpt, smtptest.StageData, smtptest.StageFinal:
					if c.More {
						together.Add(1)
					} else {
						waited.Add(1)
					}
				}
				return smtptest.Act{}
			}})
			if offered {
				s.Extensions = append(s.Extensions, "PIPELINING")
			}
			w := local(t, s.Addr())
			w.run(w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}}))
			if len(s.Delivered()) != 1 || len(s.Delivered()[0].To) != 2 {
				t.Fatalf("%d arrived; log:\n%s", len(s.Delivered()), w.log)
			}
			// After DATA and after the dot it waits in any case.
			want := [2]int32{3, 2}
			if !offered {
				want = [2]int32{0, 5}
			}
			if got := [2]int32{together.Load(), waited.Load()}; got != want {
				t.Errorf("%d commands had others behind them and %d had not, want %d", got[0], got[1], want)
			}
		})
	}
}

// What a server may answer to commands that it got all at once. Each recipient
// ends with his own answer, nobody gets an empty message, and the connection
// serves the next message wherever the two sides still agree.
func TestAnswersToAFlight(t *testing.T) {
	type script = func(smtptest.Call) smtptest.Act
	first := func(f script) script {
		return func(c smtptest.Call) smtptest.Act {
			if c.Session == 1 && c.Message == 1 {
				return f(c)
			}
			return smtptest.Act{}
		}
	}
	for _, c := range []struct {
		name   string
		script script
		want   string // of a, b: state of each
		reused bool   // the second message comes over the same connection
	}{
		{"all is well", first(func(smtptest.Call) smtptest.Act { return smtptest.Act{} }), "sent sent", true},
		{"MAIL refused, the rest too", first(at(smtptest.StageMail, smtptest.Act{Reply: "550 5.7.1 no"})), "bounced bounced", true},
		{"MAIL refused, DATA accepted", first(func(c smtptest.Call) smtptest.Act {
			switch c.Stage {
			case smtptest.StageMail:
				return smtptest.Act{Reply: "550 5.7.1 no"}
			case smtptest.StageData:
				return smtptest.Act{Reply: "354 go on"}
			}
			return smtptest.Act{}
		}), "bounced bounced", true},
		{"MAIL refused, recipients and DATA accepted", first(func(c smtptest.Call) smtptest.Act {
			switch c.Stage {
			case smtptest.StageMail:
				return smtptest.Act{Reply: "550 5.7.1 no"}
			case smtptest.StageRcpt:
				return smtptest.Act{Reply: "250 fine"}
			case smtptest.StageData:
				return smtptest.Act{Reply: "354 go on"}
			}
			return smtptest.Act{}
		}), "bounced bounced", false},
		{"MAIL refused for now", first(at(smtptest.StageMail, smtptest.Act{Reply: "451 4.3.0 later"})), "deferred deferred", true},
		{"no recipient, DATA refused", first(at(smtptest.StageRcpt, smtptest.Act{Reply: "550 5.1.1 no"})), "bounced bounced", true},
		{"no recipient, DATA accepted", first(func(c smtptest.Call) smtptest.Act {
			switch c.Stage {
			case smtptest.StageRcpt:
				return smtptest.Act{Reply: "550 5.1.1 no"}
			case smtptest.StageData:
				return smtptest.Act{Reply: "354 go on"}
			}
			return smtptest.Act{}
		}), "bounced bounced", true},
		{"one recipient refused", first(func(c smtptest.Call) smtptest.Act {
			if c.Address == "b@town.example" {
				return smtptest.Act{Reply: "550 5.1.1 no"}
			}
			return smtptest.Act{}
		}), "sent bounced", true},
		{"DATA refused", first(at(smtptest.StageData, smtptest.Act{Reply: "554 5.5.0 no"})), "bounced bounced", true},
		{"DATA refused for now", first(at(smtptest.StageData, smtptest.Act{Reply: "451 4.3.0 later"})), "deferred deferred", true},
		{"DATA answered with 250", first(at(smtptest.StageData, smtptest.Act{Reply: "250 ok"})), "deferred deferred", false},
		{"421 at the second recipient", first(func(c smtptest.Call) smtptest.Act {
			if c.Address == "b@town.example" {
				return smtptest.Act{Reply: "421 4.3.2 closing", Close: true}
			}
			return smtptest.Act{}
		}), "deferred deferred", false},
		{"the second recipient refused and then gone", first(func(c smtptest.Call) smtptest.Act {
			if c.Address == "b@town.example" {
				return smtptest.Act{Reply: "550 5.1.1 no", Close: true}
			}
			return smtptest.Act{}
		}), "deferred bounced", false},
		{"MAIL refused and then gone", first(at(smtptest.StageMail, smtptest.Act{Reply: "554 5.7.1 no", Close: true})), "bounced bounced", false},
		{"an answer too many", first(at(smtptest.StageRcpt, smtptest.Act{Reply: "250 ok\n250 ok"})), "deferred deferred", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t, &smtptest.Sink{Script: c.script})
			w := local(t, s.Addr())
			w.d.Times.Idle = 10 * time.Second
			stop := w.start()
			defer stop()
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}})
			w.until("it is settled", func() bool { e := w.entry(id); return len(e.Pending) == 0 || e.Attempts > 0 })
			_, details := w.acts(id)
			acts, _ := w.acts(id)
			var got []string
			for _, a := range []string{"a@town.example", "b@town.example"} {
				said := "deferred"
				for i, d := range details {
					if strings.Contains(d, a) {
						said = acts[i]
					}
				}
				got = append(got, said)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s; %v", got, c.want, details)
			}
			for _, m := range s.Delivered() {
				if len(m.To) > 0 && len(m.Data) == 0 {
					t.Errorf("an empty message for %v", m.To)
				}
			}
			next := w.queue(mail{from: addr("x@b.example"), to: []string{"c@town.example"}})
			w.until("the next is settled", func() bool { return len(w.entry(next).Pending) == 0 })
			if acts, _ := w.acts(next); !slices.Equal(acts, []string{"sent"}) {
				t.Errorf("the next message: %v", acts)
			}
			if got := s.Sessions() == 1; got != c.reused {
				t.Errorf("%d connections for two messages", s.Sessions())
			}
		})
	}
}

// A thousand recipients are more than one flight, and a server that writes
// while we do must not make both wait for each other.
func TestAThousandRecipientsInFlights(t *testing.T) {
	s := startSink(t, &smtptest.Sink{Script: at(smtptest.StageRcpt, smtptest.Act{Reply: "250 2.1.5 " + strings.Repeat("x", 400)})})
	w := local(t, s.Addr())
	var to []string
	for i := range 1000 {
		to = append(to, fmt.Sprintf("%s%d@town.example", strings.Repeat("r", 100), i))
	}
	id := w.queue(mail{from: addr("x@b.example"), to: to})
	w.run(id)
	if ms := s.Delivered(); len(ms) != 1 || !slices.Equal(ms[0].To, to) {
		t.Errorf("%d messages arrived; %s", len(ms), w.entry(id).Err)
	}
}
