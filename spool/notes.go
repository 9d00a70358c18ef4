package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"sekisho/envelope"
	"sekisho/internal/seal"
)

// A Note is what a next hop answered to recipients that it took an entry for,
// written down the moment it was heard.
//
// An Asked one is written before that, and tells no answer: the hop has the whole
// message and may have taken it. The answer takes its place. An entry is not held
// for a death in between as for one of which nothing can have come.
type Note struct {
	ID      envelope.ID        `json:"id"`
	To      []envelope.Address `json:"to"`
	Hop     string             `json:"hop"`
	Host    string             `json:"host"`
	Answer  string             `json:"answer"`
	Status  string             `json:"status,omitempty"`
	Relayed bool               `json:"relayed,omitempty"` // to a server that reports nothing by itself
	Asked   bool               `json:"asked,omitempty"`   // the final dot was sent, and nothing heard
	Sent    []byte             `json:"sent"`              // what was taken: see sent
}

// noteSize is the place of a note in its file: a page, which is written in one
// piece.
const noteSize = 4096

// Notes close most of the gap between a next hop's answer and the commit that
// writes it down. A commit waits for those before it and for the processor; a
// note is one write to a page of a file that is always there, with no sync, so
// that a daemon that is killed in between leaves word for the next one, and the
// message is not sent again. It is no more than word: after a power cut the
// note may be gone, and the message is then sent again, as ever.
//
// Exim keeps such a journal beside its queue, and Postfix overwrites a byte of
// its queue file. As the rows are, notes are under a seal: who can write into
// the data directory could have mail counted as delivered otherwise.
type Notes struct {
	seal *seal.Signer

	mu   sync.Mutex
	f    *os.File
	size int64   // in places
	free []int64 // places without a note that counts
	now  map[envelope.ID][]placed
}

type placed struct {
	at   int64
	note Note
}

// OpenNotes opens the file and reads what the daemon before this one left.
func OpenNotes(path string, s *seal.Signer) (_ *Notes, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open notes: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	n := &Notes{seal: s, f: f, now: map[envelope.ID][]placed{}}
	b := make([]byte, noteSize)
	for {
		k, err := f.ReadAt(b, n.size*noteSize)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read notes: %w", err)
		}
		if k == 0 {
			return n, nil
		}
		// A place that holds no note of ours holds nothing: what is not noted is
		// sent again.
		if note, ok := n.decode(b[:k]); ok {
			n.now[note.ID] = append(n.now[note.ID], placed{n.size, note})
		} else {
			n.free = append(n.free, n.size)
		}
		n.size++
	}
}

// Close closes the file.
func (n *Notes) Close() error {
	if n == nil {
		return nil
	}
	return n.f.Close()
}

// Write notes an answer. It is in the hands of the kernel when Write returns.
func (n *Notes) Write(note Note) error {
	if n == nil || len(note.To) == 0 {
		return nil
	}
	b, err := n.encode(note)
	if err != nil {
		return fmt.Errorf("note %s: %w", note.ID, err)
	}
	if b == nil {
		// Too many for a place. More recipients than one are as many notes as
		// they need.
		if len(note.To) == 1 {
			return fmt.Errorf("note %s: too long", note.ID)
		}
		more := note
		half := len(note.To) / 2
		note.To, more.To = note.To[:half], note.To[half:]
		return errors.Join(n.Write(note), n.Write(more))
	}
	at := n.place(note)
	if _, err := n.f.WriteAt(b, at*noteSize); err != nil {
		return fmt.Errorf("note %s: %w", note.ID, err)
	}
	return nil
}

func (n *Notes) place(note Note) (at int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, p := range n.now[note.ID] {
		if p.note.Asked && p.note.Host == note.Host && slices.Equal(p.note.To, note.To) {
			n.now[note.ID][i].note = note
			return p.at
		}
	}
	if k := len(n.free); k > 0 {
		at, n.free = n.free[k-1], n.free[:k-1]
	} else {
		at = n.size
		n.size++
	}
	n.now[note.ID] = append(n.now[note.ID], placed{at, note})
	return at
}

// Of returns the notes on what e would send now, to those of its recipients
// that still wait.
func (n *Notes) Of(e *Entry) []Note {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	placed := n.now[e.Envelope.ID]
	if len(placed) == 0 {
		return nil
	}
	var notes []Note
	sent := sent(e)
	for _, p := range placed {
		note := p.note
		note.To = slices.DeleteFunc(slices.Clone(note.To), func(a envelope.Address) bool { return !slices.Contains(e.Pending, a) })
		// One that was examined anew since is another message.
		if len(note.To) > 0 && string(note.Sent) == string(sent) {
			notes = append(notes, note)
		}
	}
	return notes
}

// asked reports whether a hop had all of a message and was not heard to answer.
func (n *Notes) asked(id envelope.ID) bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.now[id], func(p placed) bool { return p.note.Asked })
}

// Poison says why e is to be held as poison, if it was in hand at too many deaths
// of the daemon. A hop that had all of it may have taken it at one of them, and a
// person would find in quarantine what is in the mailbox, too: such a message is
// tried as often again, so that an answer is heard.
func (s *Spool) Poison(e *Entry) string {
	const why = "the gateway stopped several times while it had this message in hand"
	switch asked := s.Notes.asked(e.Envelope.ID); {
	case e.Deaths < PoisonDeaths || asked && e.Deaths < 2*PoisonDeaths:
		return ""
	case asked:
		return why + "; it may have been delivered"
	default:
		return why
	}
}

// Forget gives the places of an entry's notes to others: the journal has what
// they say.
func (n *Notes) Forget(id envelope.ID) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.now[id] {
		n.free = append(n.free, p.at)
	}
	delete(n.now, id)
}

// Keep forgets what is not on entries that keep names. It is called once, with
// the journal open: what was settled before the daemon ended needs no note.
func (n *Notes) Keep(keep func(envelope.ID) (bool, error)) error {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	var ids []envelope.ID
	for id := range n.now {
		ids = append(ids, id)
	}
	n.mu.Unlock()
	for _, id := range ids {
		switch is, err := keep(id); {
		case err != nil:
			return fmt.Errorf("note %s: %w", id, err)
		case !is:
			n.Forget(id)
		}
	}
	return nil
}

// NoteOf begins a note on e.
func NoteOf(e *Entry) Note {
	return Note{ID: e.Envelope.ID, Sent: sent(e)}
}

// sent says what of e was taken: a digest of the outgoing seal. The row of a
// message that is carried from its treatment to its hop has none, and the next
// daemon treats it anew, with another one: there it is of the intake seal.
func sent(e *Entry) []byte {
	of := e.Seal
	if e.State == Received {
		of = e.Intake
	}
	sum := sha256.Sum256(of)
	return sum[:]
}

// sealed is what the seal of a note covers. The words before it keep a note
// from passing for a row, which has the same key.
func sealed(b []byte) []byte { return append([]byte("sekisho note 1\x00"), b...) }

// encode returns nil for one that does not fit.
func (n *Notes) encode(note Note) ([]byte, error) {
	b, err := json.Marshal(note)
	if err != nil {
		return nil, err
	}
	sum := n.seal.SealRow(sealed(b))
	if 4+len(sum)+len(b) > noteSize {
		return nil, nil
	}
	p := make([]byte, 4, noteSize)
	binary.BigEndian.PutUint32(p, uint32(len(b)))
	p = append(append(p, sum...), b...)
	return p[:noteSize], nil
}

func (n *Notes) decode(p []byte) (note Note, ok bool) {
	const head = 4 + sha256.Size
	if len(p) < head {
		return note, false
	}
	k := binary.BigEndian.Uint32(p)
	if k > uint32(len(p)-head) {
		return note, false
	}
	b := p[head : head+int(k)]
	if n.seal.CheckRow(sealed(b), p[4:head]) != nil {
		return note, false
	}
	return note, json.Unmarshal(b, &note) == nil && note.ID.Valid()
}
