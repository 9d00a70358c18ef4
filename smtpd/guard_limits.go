package smtpd

import (
	"errors"
	"fmt"
	"time"
)

// Limits are the bounds of connections and sessions. The zero value is refused
// by check; start from DefaultLimits.
type Limits struct {
	Connections           int           // in all: 10,000 idle peers must not close the MX
	ConnectionsPerAddress int           // from one address, named peers without; what Postfix takes
	NearCap               int           // from here on a network may hold ConnectionsPerNetwork only
	ConnectionsPerNetwork int           // a /24 or /56 near the cap, a tenth: else forty addresses silence the MX
	StressAt              int           // from here on the short times: shorten before cutting
	GreetingPause         time.Duration // catches who talks before the greeting; 0 is none
	SeenFor               time.Duration // a peer seen within it does not wait again
	CommandLine           int           // with its end; RFC 5321 asks for 512 and extensions add theirs
	Command               time.Duration // one command in all, not per byte; RFC 5321, 4.5.3.2
	CommandStress         time.Duration
	Handshake             time.Duration // of TLS
	HandshakeStress       time.Duration
	Data                  time.Duration // a whole message; 20 MiB within it need 35 kB/s
	DataRate              int64         // bytes a second at least, over any DataWindow; slowloris
	DataWindow            time.Duration
	DataWindowStress      time.Duration
	DataLine              int   // a line of DATA; newsletters of 100,000 octets are real
	MessageSize           int64 // SIZE; the Ministry asks for a cap, 20 MB are in use
	Recipients            int   // a message; RFC 5321 asks for 100, municipal services send to 1,000
	SlowErrors            int   // from this error on every answer waits ErrorDelay: directory harvest
	MaxErrors             int   // this error closes
	ErrorDelay            time.Duration
	Junk                  int // NOOP, RSET, VRFY and repeated EHLO without a message; one more closes

	MessagesPerMinutePerAddress int           // a minute, named peers without: a whole town's service takes 120
	MessagesPerMinutePerTenant  int           // a minute
	MessagesPerMinutePerSender  int           // of a sender inside, then held with an alarm: a stolen account
	VisibleRecipients           int           // outside recipients in To and Cc of mail from inside, then held; 0 is off
	HeldPercentPerTenant        int           // of the disk, then the peers that fed it get 452: nobody fills another's disk
	HeldFor                     time.Duration // how long a held message stands against its peer: as long as it is kept
	HeldBytesPerPeerHour        int64         // of whole messages held, then the peer gets 452: ten of full size
	Received                    int           // Received fields: more is a loop
	OwnID                       int           // times our own name may stand in them
}

// DefaultLimits returns the values of the design, each with the reason that
// stands beside its field.
func DefaultLimits() Limits {
	return Limits{
		Connections:           12_000,
		ConnectionsPerAddress: 50,
		NearCap:               11_400,
		ConnectionsPerNetwork: 1_200,
		StressAt:              10_800,
		GreetingPause:         200 * time.Millisecond,
		SeenFor:               7 * 24 * time.Hour,
		CommandLine:           4 << 10,
		Command:               300 * time.Second,
		CommandStress:         10 * time.Second,
		Handshake:             30 * time.Second,
		HandshakeStress:       10 * time.Second,
		Data:                  600 * time.Second,
		DataRate:              500,
		DataWindow:            60 * time.Second,
		DataWindowStress:      10 * time.Second,
		DataLine:              128 << 10,
		MessageSize:           20 << 20,
		Recipients:            1_000,
		SlowErrors:            10,
		MaxErrors:             20,
		ErrorDelay:            time.Second,
		Junk:                  100,

		MessagesPerMinutePerAddress: 600,
		MessagesPerMinutePerTenant:  6_000,
		MessagesPerMinutePerSender:  60,
		HeldPercentPerTenant:        20,
		HeldFor:                     14 * 24 * time.Hour,
		HeldBytesPerPeerHour:        200 << 20,
		Received:                    50,
		OwnID:                       3,
	}
}

// check refuses limits that would not limit.
func (l Limits) check() error {
	for _, v := range []struct {
		name string
		n    int64
	}{
		{"connections", int64(l.Connections)},
		{"connections of an address", int64(l.ConnectionsPerAddress)},
		{"near the cap", int64(l.NearCap)},
		{"connections of a network", int64(l.ConnectionsPerNetwork)},
		{"stress", int64(l.StressAt)},
		{"command line", int64(l.CommandLine)},
		{"command", int64(l.Command)},
		{"command in stress", int64(l.CommandStress)},
		{"handshake", int64(l.Handshake)},
		{"handshake in stress", int64(l.HandshakeStress)},
		{"data", int64(l.Data)},
		{"data rate", l.DataRate},
		{"data window", int64(l.DataWindow)},
		{"data window in stress", int64(l.DataWindowStress)},
		{"data line", int64(l.DataLine)},
		{"message size", l.MessageSize},
		{"recipients", int64(l.Recipients)},
		{"slow errors", int64(l.SlowErrors)},
		{"errors", int64(l.MaxErrors)},
		{"junk", int64(l.Junk)},
		{"messages of an address", int64(l.MessagesPerMinutePerAddress)},
		{"messages of a tenant", int64(l.MessagesPerMinutePerTenant)},
		{"messages of a sender", int64(l.MessagesPerMinutePerSender)},
		{"held share of a tenant", int64(l.HeldPercentPerTenant)},
		{"time of what is held", int64(l.HeldFor)},
		{"held bytes of a peer", l.HeldBytesPerPeerHour},
		{"received fields", int64(l.Received)},
		{"own id", int64(l.OwnID)},
	} {
		if v.n <= 0 {
			return fmt.Errorf("smtpd: limit %s is %d and would not limit", v.name, v.n)
		}
	}
	// The library reads through a buffer of 4 KiB and gets one line a Read.
	if l.CommandLine < 512 {
		return errors.New("smtpd: RFC 5321, 4.5.3.1.4 wants command lines of 512 octets")
	}
	return nil
}
