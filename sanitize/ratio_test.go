package sanitize

import (
	"errors"
	"testing"
)

// TestPixelsThatWereChargedAreNoBomb: what unpacks to the pixels of pictures
// that were charged does not count against the proportion of what was sent; all
// else does, and the bound of all bytes stands.
func TestPixelsThatWereChargedAreNoBomb(t *testing.T) {
	l := DefaultLimits()
	s := NewSession(&Options{Limits: l}, 1000, nil, nil)
	if err := s.Spend(l.RatioFloor + 1); !errors.Is(err, ErrLimit) {
		t.Fatalf("a bomb of 10 MiB: %v", err)
	}
	s = NewSession(&Options{Limits: l}, 1000, nil, nil)
	if err := s.SpendPixels(5000, 5000); err != nil {
		t.Fatal(err)
	}
	if err := s.Spend(5000 * 5000); err != nil {
		t.Errorf("a white picture: %v", err)
	}
	if room := s.Room(); room != 3*5000*5000+l.RatioFloor {
		t.Errorf("room for %d", room)
	}
	if err := s.Spend(3*5000*5000 + l.RatioFloor + 1); !errors.Is(err, ErrLimit) {
		t.Errorf("more than its pixels: %v", err)
	}
	s = NewSession(&Options{Limits: l}, 1000, nil, nil)
	for range 5 {
		if err := s.SpendPixels(10_000, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Spend(l.Expanded + 1); !errors.Is(err, ErrLimit) {
		t.Errorf("more than all: %v", err)
	}
}
