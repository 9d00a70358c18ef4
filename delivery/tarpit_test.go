package delivery_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/smtptest"
)

// domains is a resolver that has a server of its own for each name.
type domains map[string]string

func (d domains) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return []*net.MX{{Host: name}}, nil
}
func (d domains) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return nowhere{}.LookupTXT(ctx, name)
}
func (d domains) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a, ok := d[strings.TrimSuffix(host, ".")]
	if !ok {
		return nowhere{}.LookupIPAddr(ctx, host)
	}
	return []net.IPAddr{{IP: net.ParseIP(a)}}, nil
}

// Beside domains whose servers hold what they get, mail to another domain of the
// internet goes as fast as alone. SEKISHO_FAULTS judges that in time: p95 within
// 2x, as beside a dead hop.
func TestTarpitsDelayNoOtherDomain(t *testing.T) {
	long := os.Getenv("SEKISHO_FAULTS") != ""
	pass := 20
	if long {
		pass = 400
	}
	for _, tarpits := range []int{4, 40} {
		t.Run(fmt.Sprint(tarpits), func(t *testing.T) {
			tarpit := startSink(t, &smtptest.Sink{Script: at(smtptest.StageMail, smtptest.Act{Hang: true})})
			good := startSink(t, &smtptest.Sink{})
			names := domains{"good.example": "203.0.113.200"}
			servers := map[string]string{"203.0.113.200:25": good.Addr()}
			for i := range tarpits {
				a := fmt.Sprintf("203.0.113.%d", i+1)
				names[fmt.Sprintf("t%d.example", i)] = a
				servers[a+":25"] = tarpit.Addr()
			}
			w := outside(t, startSink(t, &smtptest.Sink{}), servers)
			w.spool.Inline = 32 << 10
			w.d.Resolver = names
			w.d.Times.Command = time.Hour // longer than anybody waits
			w.patience = time.Minute
			out := func(to string) {
				w.queue(mail{from: addr("a@town.example"), to: []string{to}, zone: envelope.LGWAN, networks: []envelope.Network{envelope.NetworkInternet}})
			}
			stop := w.start()
			defer stop()
			pace := func() (took []time.Duration) {
				seen, sent := good.Count(), map[string]time.Time{}
				for n := range pass {
					to := fmt.Sprintf("p%d-%d@good.example", seen, n)
					sent[to] = time.Now()
					out(to)
					time.Sleep(20 * time.Millisecond)
				}
				w.until("the other domain has all of it", func() bool { return good.Count() >= seen+pass })
				for _, m := range good.Delivered()[seen:] {
					took = append(took, m.At.Sub(sent[m.To[0]]))
				}
				slices.Sort(took)
				return took
			}
			alone := pace()
			for i := range max(200, 5*tarpits) {
				out(fmt.Sprintf("b@t%d.example", i%tarpits))
			}
			w.until("the tarpits are busy", func() bool { return tarpit.MostOpen() >= min(4*5, tarpits) })
			beside, later := pace(), pace()
			t.Logf(`{"tarpits":%d,"p95_ms_alone":%g,"p95_ms_beside":%g,"p95_ms_beside_later":%g,"connections_of_tarpits":%d}`,
				tarpits, ms(p95(alone)), ms(p95(beside)), ms(p95(later)), tarpit.MostOpen())
			if most := 2 * max(p95(alone), 5*time.Millisecond); long && max(p95(beside), p95(later)) > most {
				t.Errorf("p95 was %v alone, %v and %v beside tarpits", p95(alone), p95(beside), p95(later))
			}
		})
	}
}
