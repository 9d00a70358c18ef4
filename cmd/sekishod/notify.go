package main

import (
	"net"
	"os"
	"strings"
)

// notify tells systemd how far the service is (sd_notify(3)), so that
// "systemctl start" ends when the gateway listens, and fails when it does not.
// Where nobody asks, which is when NOTIFY_SOCKET is not set, nothing is said.
func notify(lines ...string) error {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return nil
	}
	// A name that begins with @ is an abstract one; package net knows that.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return err
}
