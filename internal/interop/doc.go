// Package interop has no code: its tests let the gateway and other people's
// mail servers talk to each other, Postfix and Exim of Debian, in both
// directions, over TLS of an authority made for the test, with the addresses
// of mail servers looked up in the DNS.
//
// Neither server is installed: `make deps` unpacks them into .cache/peers. The
// tests start themselves again in a mount, network and process namespace of
// their own, where the unpacked files lie over /usr and /etc, addresses of the
// documentation networks stand on the loopback, and a DNS server answers on
// port 53. Nothing is left behind, and nothing leaves. That takes root; without
// it, or without the unpacked servers, the tests say that they are skipped.
package interop
