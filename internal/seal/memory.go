package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// remembered is how many seals one generation of a memory holds: those of what
// is on its way, some 100 bytes each. What waits longer is looked at anew.
const remembered = 4096

// A memory knows seals that this process made itself or has found to be right.
// A mail's seals are looked at three times on its way, and each look costs as
// much as the rest of a commit (measured: 60 µs against 1); what is remembered
// is a digest of every sealed fact together with the seal, so that any other
// fact, and any other seal, is looked at. It holds for one key: each Signer has
// its own.
type memory struct {
	mu         sync.Mutex
	young, old map[[32]byte]struct{}
}

// mark stands for a fact with its seal.
func mark(msg, sig []byte) (m [32]byte) {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(msg)))
	h.Write(n[:])
	h.Write(msg)
	h.Write(sig)
	h.Sum(m[:0])
	return m
}

func (s *memory) has(m [32]byte) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[m]; ok {
		return true
	}
	_, ok := s.old[m]
	return ok
}

func (s *memory) add(m [32]byte) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= remembered {
		s.young, s.old = make(map[[32]byte]struct{}, 64), s.young
	}
	s.young[m] = struct{}{}
}
