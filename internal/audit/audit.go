// Package audit is the hash-chained record of every decision of the gateway
// and every act of a person. It is not logging: an event is written in the
// transaction that makes it true, or the act did not happen. Each record holds
// the hash of the one before it, so that a record changed or taken out breaks
// the chain from there on.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Event is one fact.
type Event struct {
	Time   time.Time `json:"time"`
	Tenant string    `json:"tenant"`
	Actor  string    `json:"actor"` // an account, or "gateway"
	Act    string    `json:"act"`   // received, queued, held, released, deleted, expired, sent, bounced, account-added ...
	ID     string    `json:"id"`    // of the message, when there is one
	Detail string    `json:"detail"`
}

// Record is an event in the chain.
type Record struct {
	Seq int64 `json:"seq"` // 1, 2, 3 ... without a gap
	Event
	Prev string `json:"prev"` // hexadecimal hash of the record before, "" for the first
	Hash string `json:"hash"`
}

// Link makes the record that follows one with sequence number seq and hash
// prev; 0 and "" start a chain.
func Link(seq int64, prev string, e Event) Record {
	// Stores keep times with microseconds; the hash must not depend on more.
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	r := Record{Seq: seq + 1, Event: e, Prev: prev}
	r.Hash = r.hash()
	return r
}

// Intact reports whether r's hash fits its content.
func (r Record) Intact() bool { return r.Hash == r.hash() }

func (r Record) hash() string {
	h := sha256.New()
	var n [8]byte
	put := func(s string) {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	binary.BigEndian.PutUint64(n[:], uint64(r.Seq))
	h.Write(n[:])
	put(r.Time.UTC().Format(time.RFC3339Nano))
	for _, s := range []string{r.Tenant, r.Actor, r.Act, r.ID, r.Detail, r.Prev} {
		put(s)
	}
	return hex.EncodeToString(h.Sum(nil))
}
