package doc

import (
	"bytes"
	"slices"
	"testing"
)

// TestTheLastStyleMayBeCutShort: its place stays, empty.
func TestTheLastStyleMayBeCutShort(t *testing.T) {
	head := []byte{6, 0, 2, 0, 10, 0, 0, 0} // two styles, of which ten octets are fixed
	whole := slices.Concat(le.AppendUint16(nil, 16), []byte{0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 1, 0, 'a', 0, 0, 0})
	in := slices.Concat(head, whole, whole[:9])
	out, err := styles(in)
	if want := slices.Concat(head, whole, []byte{0, 0}); err != nil || !bytes.Equal(out, want) {
		t.Errorf("%x, %v", out, err)
	}
}

// TestLevelsBeginBehindTheLists: also where the table counts them as its own.
func TestLevelsBeginBehindTheLists(t *testing.T) {
	list := make([]byte, 28)
	list[26] = 1 // of one level
	one := make([]byte, levelHead)
	one[0] = 1
	one = append(one, 1, 0, '.', 0)
	for _, counted := range []int{0, len(one)} {
		d := &document{table: slices.Concat([]byte{1, 0}, list, one, make([]byte, 8))}
		d.fib.pairs = make([]pair, pairLst+1)
		d.fib.pairs[pairLst].lcb = uint32(2 + len(list) + counted)
		table, levels, err := d.lists()
		if err != nil || !bytes.Equal(table, slices.Concat([]byte{1, 0}, list)) || !bytes.Equal(levels, one) {
			t.Errorf("%d octets of levels counted: %x, %x, %v", counted, table, levels, err)
		}
	}
}
