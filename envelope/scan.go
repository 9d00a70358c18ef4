package envelope

import "fmt"

// ScanVerdict is what a scanner said of a message.
type ScanVerdict uint8

// The verdicts, each worse than the one before it but for the first: zero is
// no answer, which never passes for a clean one.
const (
	ScanUnanswered ScanVerdict = 0
	ScanClean      ScanVerdict = 1
	ScanMarked     ScanVerdict = 2 // suspicious: goes on with a mark
	ScanSpam       ScanVerdict = 3
	ScanMalware    ScanVerdict = 4
)

func (v ScanVerdict) String() string {
	switch v {
	case ScanClean:
		return "clean"
	case ScanMarked:
		return "marked"
	case ScanSpam:
		return "spam"
	case ScanMalware:
		return "malware"
	default:
		return "unanswered"
	}
}

// ScanResult is the answer of one scanner about one message.
type ScanResult struct {
	Scanner string // its name in the configuration
	Verdict ScanVerdict
	// Detail is what the scanner calls it, or why there is no answer: printable
	// ASCII, bounded.
	Detail string
	// Antivirus says that the scanner looks for malware, so that its clean
	// speaks against an earlier find.
	Antivirus bool
}

// String is a line for the audit and the reasons of a verdict.
func (r ScanResult) String() string {
	if r.Detail == "" {
		return fmt.Sprintf("%s: %s", r.Scanner, r.Verdict)
	}
	return fmt.Sprintf("%s: %s: %s", r.Scanner, r.Verdict, r.Detail)
}
