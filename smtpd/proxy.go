package smtpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2: what a load balancer writes before a
// connection that it passes on, so that the peer is the one behind it. It is
// believed of the addresses in a listener's `proxy` alone, and those must speak
// it. https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt

// proxyHeader is what such a header says.
type proxyHeader struct {
	local bool           // the balancer speaks for itself, a health check
	peer  netip.AddrPort // who is behind it
}

const (
	maxProxy1 = 107 // with its CRLF; 2.1 of the protocol
	// maxProxy2 bounds version 2, whose length is a number in the header: what
	// balancers add of their own (TLVs, of a TLS connection for instance) stays
	// under a kilobyte.
	maxProxy2   = 4 << 10
	proxy2Fixed = 16
)

var (
	proxy1Start = []byte("PROXY ")
	proxy2Start = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// errProxy is a header that is none, or says nothing that can be believed.
var errProxy = errors.New("no PROXY header")

// parseProxy reads the header at the beginning of b. It returns its length,
// zero when more bytes are needed. What comes behind the header is the peer's.
func parseProxy(b []byte) (proxyHeader, int, error) {
	switch {
	case startsLike(b, proxy2Start):
		return parseProxy2(b)
	case startsLike(b, proxy1Start):
		return parseProxy1(b)
	default:
		return proxyHeader{}, 0, errProxy
	}
}

// startsLike reports whether b begins with start, as far as it goes.
func startsLike(b, start []byte) bool {
	n := min(len(b), len(start))
	return bytes.Equal(b[:n], start[:n])
}

// parseProxy1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 50000 25" and CRLF.
// UNKNOWN, which says that the balancer does not know, is refused: a peer
// without an address has no limits, no SPF, and no name in the log.
func parseProxy1(b []byte) (proxyHeader, int, error) {
	end := bytes.IndexByte(b[:min(len(b), maxProxy1)], '\n')
	if end < 0 {
		if len(b) >= maxProxy1 {
			return proxyHeader{}, 0, errProxy
		}
		return proxyHeader{}, 0, nil
	}
	line, ok := strings.CutSuffix(string(b[:end]), "\r")
	if !ok {
		return proxyHeader{}, 0, errProxy
	}
	f := strings.Split(line, " ")
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return proxyHeader{}, 0, errProxy
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		a, err := netip.ParseAddr(f[2+i])
		if err != nil || a.Zone() != "" || a.Is4() != (f[1] == "TCP4") {
			return proxyHeader{}, 0, errProxy
		}
		port, ok := proxyPort(f[4+i])
		if !ok {
			return proxyHeader{}, 0, errProxy
		}
		ends[i] = netip.AddrPortFrom(a.Unmap(), port)
	}
	if !ends[0].Addr().IsValid() || ends[0].Addr().IsUnspecified() {
		return proxyHeader{}, 0, errProxy
	}
	return proxyHeader{peer: ends[0]}, end + 1, nil
}

// proxyPort reads a port as it must be written: digits, no zero before them.
func proxyPort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && strconv.FormatUint(n, 10) == s
}

// parseProxy2 reads the binary header. Families other than TCP over IPv4 and
// IPv6 are refused, as 2.2 of the protocol allows; what stands behind the
// addresses is skipped.
func parseProxy2(b []byte) (proxyHeader, int, error) {
	if len(b) < proxy2Fixed {
		return proxyHeader{}, 0, nil
	}
	n := proxy2Fixed + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case n > maxProxy2:
		return proxyHeader{}, 0, errProxy
	case b[12] != 0x20 && b[12] != 0x21:
		return proxyHeader{}, 0, errProxy
	case b[12] == 0x21 && b[13] != 0x11 && b[13] != 0x21:
		return proxyHeader{}, 0, errProxy
	case len(b) < n:
		return proxyHeader{}, 0, nil
	case b[12] == 0x20:
		// LOCAL: whatever else it says does not count.
		return proxyHeader{local: true}, n, nil
	}
	body := b[proxy2Fixed:n]
	size := 4
	if b[13] == 0x21 {
		size = 16
	}
	if len(body) < 2*size+4 {
		return proxyHeader{}, 0, errProxy
	}
	a, ok := netip.AddrFromSlice(body[:size])
	if a = a.Unmap(); !ok || a.IsUnspecified() {
		return proxyHeader{}, 0, errProxy
	}
	return proxyHeader{peer: netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[2*size:]))}, n, nil
}
