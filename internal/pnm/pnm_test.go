package pnm

import (
	"strings"
	"testing"
)

// TestOnlyAWholePictureOfTheSizeAskedForIsRead: what a tool hands over is
// believed in nothing.
func TestOnlyAWholePictureOfTheSizeAskedForIsRead(t *testing.T) {
	six := strings.Repeat("x", 6)
	for in, samples := range map[string]int{
		"P5\n3 2\n255\n" + six:              1,
		"P5\n# by a tool\n3 2\n255\n" + six: 1,
		"P6\n3 2\n255\n" + six + six + six:  3,
		"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + six + six + six + six: 4,
		"P5\n3 2\n255\n" + six + "x":                             0,
		"P5\n3 2\n255\nxxxxx":                                    0,
		"P5\n2 3\n255\n" + six:                                   0,
		"P5\n3 2\n65535\n" + six:                                 0,
		"P5\n-3 -2\n255\n" + six:                                 0,
		"P4\n3 2\n255\n" + six:                                   0,
		"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 5\nMAXVAL 255\nENDHDR\n":   0,
		"P7\nWIDTH 3\nHEIGHT 2\nMAXVAL 255\nENDHDR\n" + six:      0,
		"P7\nWIDTH 3\nWIDTH 2\nDEPTH 1\nDEPTH 1\nENDHDR\n" + six: 0,
		"": 0,
	} {
		p, err := Read([]byte(in), 3, 2, 0)
		if (err == nil) != (samples > 0) || err == nil && (p.Samples != samples || len(p.Pix) != 6*samples) {
			t.Errorf("%q: %d samples, %d octets, %v", in, p.Samples, len(p.Pix), err)
		}
	}
}
