package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestHealthIsWhatTheGatewayCanDo: one that listens lives and is ready; one whose
// workers are not confined lives, and is not.
func TestHealthIsWhatTheGatewayCanDo(t *testing.T) {
	s := newSite(t, binaries, "")
	s.mustStart(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		r, err := http.Get("http://" + s.listening("metrics") + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || string(b) != "ok\n" {
			t.Errorf("%s: %d %q %v", path, r.StatusCode, b, err)
		}
	}
	g := &gateway{metrics: newMetrics(), confined: errors.New("a worker can read files")}
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		w := httptest.NewRecorder()
		g.health().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s of a gateway that is not confined: %d %q, want %d", path, w.Code, w.Body, want)
		}
	}
}
