package all

import (
	"testing"

	"sekisho/sanitize"
)

// TestConvertersAreForWhatNothingTreats: a kind that is rebuilt here, or that
// can run, is given to no converter.
func TestConvertersAreForWhatNothingTreats(t *testing.T) {
	table := Table()
	for _, k := range sanitize.ConverterKinds() {
		// The rebuild of Ichitaro is an experiment; a converter does better.
		if _, ok := table[k]; ok && k.Class() != sanitize.ClassIchitaro {
			t.Errorf("%s is rebuilt here", k)
		}
		switch k.Class() {
		case sanitize.ClassExecutable, sanitize.ClassEncrypted, sanitize.ClassArchive, sanitize.ClassMessage:
			t.Errorf("%s is of class %s", k, k.Class())
		}
		if k != sanitize.KindUnknown && k.Facts() == sanitize.KindUnknown.Facts() {
			t.Errorf("%s is no kind", k)
		}
	}
}
