// Thief is a worker of the text lane that was captured: it keeps every message
// it is given, and gives them all out with the next one. What else it does, the
// message says: "lane=hang" and so on. Started for one message, it is honest
// and says so.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

func main() {
	args, _, err := sandbox.Enter(os.Args)
	if err != nil {
		os.Exit(sandbox.ExitUnconfined)
	}
	answer := os.NewFile(sanitize.FDReply, "reply")
	if len(args) == 0 {
		var o sanitize.Options
		if err := sanitize.ReadFrame(os.NewFile(sanitize.FDOptions, "options"), &o, sanitize.MaxOptions); err != nil {
			os.Exit(1)
		}
		out := []byte("a process of its own")
		if o.Task == sanitize.TaskVerifyMail {
			out = nil
		}
		fmt.Fprintf(os.NewFile(sanitize.FDOutput, "output"), "%s", out)
		if err := sanitize.WriteFrame(answer, reply(out)); err != nil {
			os.Exit(1)
		}
		return
	}
	in := os.NewFile(sanitize.FDInput, "input")
	var kept []byte
	var options sanitize.LaneOptions
	for {
		if _, err := options.Next(in); err != nil {
			return
		}
		m, err := sanitize.ReadBytes(in, nil, sanitize.MaxLaneMessage)
		if err != nil {
			os.Exit(1)
		}
		kept = append(kept, m...)
		_, lie, _ := strings.Cut(string(m), "lane=")
		lie, _, _ = strings.Cut(lie, "\r")
		r, out := reply(kept), kept
		switch lie {
		case "hang":
			time.Sleep(time.Hour)
		case "exit":
			os.Exit(0)
		case "garbage":
			answer.WriteString("\x00\x00\x00\x02no")
			continue
		case "long-frame":
			answer.Write(binary.BigEndian.AppendUint32(nil, sanitize.MaxLaneReply+1))
			continue
		case "declines":
			r, out = &sanitize.Reply{Own: true}, nil
		case "declines-and-more":
			r, out = &sanitize.Reply{Own: true}, []byte("more")
		case "digest":
			r.Digest[0]++
		case "more":
			out = append(bytes.Clone(out), "more"...)
		case "less":
			out = out[:len(out)-1]
		case "huge":
			r.Size = 1 << 40
		case "negative":
			r.Size = -1
		case "holds":
			r.Report.Holds = []sanitize.Hold{{Class: sanitize.ClassAmbiguous, Code: "x"}}
		case "refuses":
			r.Report.Outcome = sanitize.Refused
		case "refuses-in-words":
			r.Err = "no"
		case "keeps-back":
			r.Report.Parts[0].Fate = sanitize.KeptBack
		case "outcome":
			r.Report.Outcome = 9
		}
		if err := sanitize.WriteFrame(answer, r); err != nil {
			os.Exit(1)
		}
		if _, err := answer.Write(out); err != nil {
			os.Exit(1)
		}
	}
}

func reply(out []byte) *sanitize.Reply {
	return &sanitize.Reply{Size: int64(len(out)), Digest: sha256.Sum256(out), Report: sanitize.Report{Engine: "thief", Outcome: sanitize.Clean,
		Parts: []sanitize.Part{{Path: "1", Kind: sanitize.KindText, Outcome: sanitize.Clean, Fate: sanitize.Delivered}}}}
}
