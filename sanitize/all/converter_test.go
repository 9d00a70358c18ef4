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
		// The rebuild of Ichitaro is an experiment, and pictures that profiles hold
		// by default lose much: a converter does better.
		ours := k.Class() != sanitize.ClassIchitaro && k != sanitize.KindJP2 && k != sanitize.KindEPS && k != sanitize.KindDICOM
		if _, ok := table[k]; ok && ours {
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
