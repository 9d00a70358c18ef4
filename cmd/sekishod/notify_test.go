package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// A service of type notify counts as started when it says READY=1 (sd_notify(3)).
func TestSystemdIsToldWhenTheGatewayListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Errorf("nobody asked, and yet: %v", err)
	}

	at := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", at)
	if err := notify("READY=1", "STATUS=treating mail"); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 256)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(buf[:n]), "READY=1\nSTATUS=treating mail"; got != want {
		t.Errorf("systemd was told %q, want %q", got, want)
	}

	t.Setenv("NOTIFY_SOCKET", at+"-gone")
	if err := notify("READY=1"); err == nil {
		t.Error("nobody was there to be told, and that is no error")
	}
}
