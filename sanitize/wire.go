package sanitize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Descriptors of a worker: the message, the output, standard error, the
// options, the reply, and the socket of the tools (FDTools; a worker of a lane
// has none). Nothing else is open.
const (
	FDInput   = 0
	FDOutput  = 1
	FDOptions = 3
	FDReply   = 4
)

// Reply is what a worker says when it is done. The parent believes none of it
// before it has checked size and digest against its own copy of the output.
type Reply struct {
	Report Report `json:"report"`
	Size   int64  `json:"size"`
	Digest Digest `json:"digest"`
	Err    string `json:"err,omitempty"` // why there is no output
	Own    bool   `json:"own,omitempty"` // a lane's worker: this message needs a process of its own
}

// Sizes of frames. A report of 1,000 parts with findings fits many times; a
// longer one is no report.
const (
	MaxOptions = 1 << 20
	MaxReply   = 16 << 20
)

// Lane is the argument that makes a worker one of a lane: it serves messages
// one after the other. It reads each from FDInput, options first, and writes
// its reply to FDReply, with the output behind it.
const Lane = "lane"

// Sizes in a lane. What is larger needs a process of its own.
const (
	MaxLaneMessage = 256 << 10
	// Half-width kana of one octet are four in base64 of UTF-8.
	MaxLaneOutput = 4*MaxLaneMessage + 64<<10
	MaxLaneReply  = 256 << 10
)

// WriteFrame writes v behind its length in four octets, in the form of codec.go.
func WriteFrame(w io.Writer, v any) error {
	b, err := encode(make([]byte, 4, 1024), v)
	if err != nil {
		return err
	}
	if len(b)-4 > MaxReply {
		return fmt.Errorf("frame of %d octets: %w", len(b)-4, ErrLimit)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// ReadFrame reads what WriteFrame wrote into v, strictly: no other type, at
// most limit octets, nothing behind it.
func ReadFrame(r io.Reader, v any, limit int64) error {
	if err := ReadNext(r, v, limit); err != nil {
		return err
	}
	var next [1]byte
	if k, err := r.Read(next[:]); k != 0 || err != io.EOF {
		return errors.New("octets behind the frame")
	}
	return nil
}

// ReadNext is ReadFrame on a stream, where more may follow. It is io.EOF when
// nothing does.
func ReadNext(r io.Reader, v any, limit int64) error {
	b, err := readRaw(r, nil, limit)
	if err != nil {
		return err
	}
	return decode(b, v)
}

// readRaw reads the octets of a frame, into b if it has room.
func readRaw(r io.Reader, b []byte, limit int64) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > limit {
		return nil, fmt.Errorf("frame of %d octets: %w", n, ErrLimit)
	}
	// The length is a claim: what is allocated for it grows with what comes.
	b = b[:0]
	for int64(len(b)) < n {
		more := int(min(n-int64(len(b)), max(8<<10, int64(len(b)))))
		b = slices.Grow(b, more)
		k, err := io.ReadFull(r, b[len(b):len(b)+more])
		b = b[:len(b)+k]
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, fmt.Errorf("frame cut short: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, fmt.Errorf("read frame: %w", err)
		}
	}
	return b, nil
}

// An occasion is what options say of one message. The rest of them is the same
// for all mail of a tenant.
type occasion struct {
	ID       string    `json:"id"`
	PartID   string    `json:"part_id,omitempty"`
	Expires  time.Time `json:"expires"`
	Now      time.Time `json:"now"`
	AuthLine string    `json:"auth_line,omitempty"`
}

// WriteOptions writes options for a lane: what they say in general, and what of
// this message, so that the worker need not decode the first every time.
func WriteOptions(w io.Writer, o *Options) error {
	general := *o
	of := occasion{ID: o.ID, PartID: o.PartID, Expires: o.Expires, Now: o.Now, AuthLine: o.AuthLine}
	general.ID, general.PartID, general.Expires, general.Now, general.AuthLine = "", "", time.Time{}, time.Time{}, ""
	if err := WriteFrame(w, &general); err != nil {
		return err
	}
	return WriteFrame(w, &of)
}

// LaneOptions reads what WriteOptions wrote, message by message. Nothing of one
// message remains for the next: what they share is what was said, octet by
// octet, for both.
type LaneOptions struct {
	said    []byte
	general Options
}

// Next returns the options of the next message; io.EOF when there is none. Maps
// and slices in them may be shared and are not to be changed.
func (l *LaneOptions) Next(r io.Reader) (*Options, error) {
	b, err := readRaw(r, nil, MaxOptions)
	if err != nil {
		return nil, err
	}
	if l.said == nil || !bytes.Equal(b, l.said) {
		var general Options
		if err := decode(b, &general); err != nil {
			return nil, err
		}
		l.said, l.general = b, general
	}
	var of occasion
	if err := ReadNext(r, &of, MaxOptions); err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	o := l.general
	o.ID, o.PartID, o.Expires, o.Now, o.AuthLine = of.ID, of.PartID, of.Expires, of.Now, of.AuthLine
	return &o, nil
}

// AppendFrom appends the first n octets of r behind their length in four.
func AppendFrom(to *bytes.Buffer, r io.ReaderAt, n int64) error {
	if n > MaxReply {
		return fmt.Errorf("%d octets: %w", n, ErrLimit)
	}
	to.Grow(4 + int(n))
	b := binary.BigEndian.AppendUint32(to.AvailableBuffer(), uint32(n))
	b = b[:4+n]
	if k, err := r.ReadAt(b[4:], 0); k < int(n) {
		return fmt.Errorf("read octets: %w", err)
	}
	to.Write(b)
	return nil
}

// ReadBytes reads what AppendFrom wrote, into b if it has room; at most limit
// octets.
func ReadBytes(r io.Reader, b []byte, limit int64) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read octets: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > limit {
		return nil, fmt.Errorf("%d octets: %w", n, ErrLimit)
	}
	// limit bounds what is allocated for a claim.
	if int64(cap(b)) < n {
		b = make([]byte, n)
	}
	b = b[:n]
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read octets: %w", err)
	}
	return b, nil
}
