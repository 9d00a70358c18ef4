package corpustest

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
)

// Lies gives f the octets of b with one number in them that is not so: at every
// step-th place each of the values. b is the same at the end; f keeps nothing.
func Lies(b []byte, step int, values []uint32, f func(what string, b []byte)) {
	for at := 0; at+4 <= len(b); at += step {
		was := binary.LittleEndian.Uint32(b[at:])
		for _, v := range values {
			if v == was {
				continue
			}
			binary.LittleEndian.PutUint32(b[at:], v)
			f(fmt.Sprintf("%#x at %d", v, at), b)
		}
		binary.LittleEndian.PutUint32(b[at:], was)
	}
}

// Thrifty runs f and holds that it took no more than most octets of memory, all
// that it gave back included.
func Thrifty(t testing.TB, what string, most uint64, f func()) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(what)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%s took %d octets of memory", what, took)
	}
}
