// Liar is a captured worker: it confines itself as the real one does, and then
// behaves as the subject of the message tells it ("lie=crash"). Tests put it in
// the real one's place and show that nothing untreated gets past the parent.
//
// A lie ending in "-always" is told in the second run as well, in which the
// parent wants every attachment kept back; another is told in the first only.
// Verifying runs are honest unless the lie begins with "verify-", and the text
// lane, which declines, unless it begins with "lane-".
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

func main() {
	args, _, err := sandbox.Enter(os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "liar: %v\n", err)
		os.Exit(sandbox.ExitUnconfined)
	}
	if len(args) == 1 && args[0] == sanitize.Lane {
		err = lane()
	} else {
		err = run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "liar: %v\n", err)
		os.Exit(1)
	}
}

var (
	input  = os.NewFile(sanitize.FDInput, "input")
	output = os.NewFile(sanitize.FDOutput, "output")
	answer = os.NewFile(sanitize.FDReply, "reply")
)

func run() error {
	var o sanitize.Options
	if err := sanitize.ReadFrame(os.NewFile(sanitize.FDOptions, "options"), &o, sanitize.MaxOptions); err != nil {
		return err
	}
	in, err := io.ReadAll(input)
	if err != nil {
		return err
	}
	lie := toldIn(in)
	verify := o.Task == sanitize.TaskVerifyMail
	told, always := strings.CutSuffix(lie, "-always")
	told, atVerify := strings.CutPrefix(told, "verify-")
	switch {
	case lie == "", strings.HasPrefix(lie, "lane-"), verify != atVerify, o.KeepAll && !always:
		return honest(&o, in)
	}
	return tell(told, &o, in)
}

func toldIn(in []byte) string {
	if m := regexp.MustCompile(`lie=([a-z0-9-]+)`).FindSubmatch(in); m != nil {
		return string(m[1])
	}
	return ""
}

// lane declines every message but those that ask for a lie of the lane.
func lane() error {
	var options sanitize.LaneOptions
	for {
		o, err := options.Next(input)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		in, err := sanitize.ReadBytes(input, nil, sanitize.MaxLaneMessage)
		if err != nil {
			return err
		}
		lie, told := strings.CutPrefix(toldIn(in), "lane-")
		verify := o.Task == sanitize.TaskVerifyMail
		lie, atVerify := strings.CutPrefix(lie, "verify-")
		if !told || verify != atVerify {
			err = sanitize.WriteFrame(answer, &sanitize.Reply{Own: true, Report: sanitize.Report{Outcome: sanitize.Refused}})
		} else {
			err = tellInLane(lie, in)
		}
		if err != nil {
			return err
		}
	}
}

func tellInLane(lie string, in []byte) error {
	pass := original(in)
	say := func(r sanitize.Reply, out []byte) error {
		if err := sanitize.WriteFrame(answer, &r); err != nil {
			return err
		}
		_, err := answer.Write(out)
		return err
	}
	claim := sanitize.Reply{Report: clean(in), Size: int64(len(pass)), Digest: sha256.Sum256(pass)}
	switch lie {
	case "clean":
		return say(claim, pass)
	case "nothing":
		claim.Size, claim.Digest = 0, sha256.Sum256(nil)
		return say(claim, nil)
	case "crash":
		_ = say(claim, pass[:len(pass)/2])
		os.Exit(1)
	case "garbage":
		_, err := answer.WriteString("\x00\x00\x00\x10no JSON whatever")
		return err
	case "digest":
		claim.Digest = sha256.Sum256([]byte("something else"))
		return say(claim, pass)
	case "size":
		claim.Size = 1 << 60
		return say(claim, pass)
	case "negative":
		claim.Size = -1
		return say(claim, pass)
	case "more":
		return say(claim, append(pass, "more than was said"...))
	case "early":
		// And the answer to the next message, before anybody asked.
		_ = sanitize.WriteFrame(answer, &sanitize.Reply{Own: true, Report: sanitize.Report{Outcome: sanitize.Refused}})
		return say(claim, pass)
	case "author":
		claim.Report.Header = mayor
		return say(claim, []byte("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n"))
	case "kept":
		claim.Report.Parts = []sanitize.Part{{Path: "2", Kind: sanitize.KindText, Outcome: sanitize.Clean}}
		return say(claim, pass)
	case "holds":
		claim.Report.Holds = []sanitize.Hold{{Class: sanitize.ClassAmbiguous, Code: "lied"}}
		return say(claim, pass)
	case "outcome":
		claim.Report.Outcome = 0
		return say(claim, pass)
	}
	return fmt.Errorf("lie %q of the lane is none", lie)
}

// honest is what the real worker does.
func honest(o *sanitize.Options, in []byte) error {
	var out bytes.Buffer
	rep, err := all.Run(context.Background(), o, bytes.NewReader(in), int64(len(in)), &out)
	r := sanitize.Reply{Report: *rep}
	if err != nil {
		r.Err = err.Error()
	}
	return reply(r, out.Bytes())
}

func reply(r sanitize.Reply, out []byte) error {
	r.Size, r.Digest = int64(len(out)), sha256.Sum256(out)
	if _, err := output.WriteAt(out, 0); err != nil {
		return err
	}
	return sanitize.WriteFrame(answer, &r)
}

// original is the message as it came, as if it had been treated.
func original(in []byte) []byte {
	head, body, _ := bytes.Cut(in, []byte("\r\n\r\n"))
	kind := "text/plain"
	if m := regexp.MustCompile(`boundary="([^"]+)"`).FindSubmatch(head); m != nil {
		kind = `multipart/mixed; boundary="` + string(m[1]) + `"`
	}
	return append([]byte("MIME-Version: 1.0\r\nContent-Type: "+kind+"\r\n\r\n"), body...)
}

func clean(in []byte) sanitize.Report {
	return sanitize.Report{Engine: "liar", Outcome: sanitize.Clean, Header: []sanitize.Field{{Name: "Subject", Text: "lied"}}}
}

// mayor is an author whom no message has.
var mayor = []sanitize.Field{{Name: "From", Mailboxes: []sanitize.Mailbox{{Name: "町長", Address: "mayor@town.example"}}}}

func tell(lie string, o *sanitize.Options, in []byte) error {
	claim := sanitize.Reply{Report: clean(in)}
	pass := original(in)
	switch lie {
	case "author":
		claim.Report.Header = mayor
		return reply(claim, []byte("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nbody text\r\n"))
	case "crash":
		// Half of the original is out already.
		_, _ = output.Write(pass)
		panic("as if by a bug")
	case "forbidden":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		return fmt.Errorf("a socket: %w", err)
	case "status":
		_ = reply(claim, pass)
		os.Exit(3)
	case "silent":
		_, err := output.Write(pass)
		return err
	case "garbage":
		_, _ = output.Write(pass)
		_, err := answer.WriteString("\x00\x00\x00\x10no JSON whatever")
		return err
	case "long-frame":
		_, _ = output.Write(pass)
		_, err := answer.WriteString("\xff\xff\xff\xff{")
		return err
	case "short-frame":
		_, _ = output.Write(pass)
		_, err := answer.WriteString("\x00\x00\x01\x00{}")
		return err
	case "two-frames":
		_ = reply(claim, pass)
		return sanitize.WriteFrame(answer, &claim)
	case "unknown-field":
		_, _ = output.Write(pass)
		return sanitize.WriteFrame(answer, struct {
			sanitize.Reply
			Deliver bool
		}{claim, true})
	case "digest":
		_, _ = output.Write(pass)
		claim.Size = int64(len(pass))
		claim.Digest = sha256.Sum256([]byte("something else"))
		return sanitize.WriteFrame(answer, &claim)
	case "more":
		if err := reply(claim, pass); err != nil {
			return err
		}
		_, err := output.WriteAt([]byte("more than was said"), int64(len(pass)))
		return err
	case "flip":
		// What is reported is harmless; what lies there in the end is not.
		harmless := []byte("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello\r\n")
		harmless = append(harmless, bytes.Repeat([]byte(" "), max(0, len(pass)-len(harmless)))...)
		if err := reply(claim, harmless); err != nil {
			return err
		}
		_, err := output.WriteAt(pass, 0)
		return err
	case "input":
		// The parent's own copy of the message, which must be sealed.
		if _, err := input.WriteAt([]byte("X"), 0); err == nil {
			return reply(claim, pass)
		}
		w, err := os.OpenFile("/proc/self/fd/0", os.O_RDWR, 0)
		if err == nil {
			_, _ = w.WriteAt([]byte("X"), 0)
		}
		os.Exit(4)
	case "clean":
		// An honest digest of the original, said to be clean.
		return reply(claim, pass)
	case "outcome":
		claim.Report.Outcome = 0
		return reply(claim, pass)
	case "outcome-9":
		claim.Report.Outcome = 9
		return reply(claim, pass)
	case "fate":
		claim.Report.Parts = []sanitize.Part{{Path: "1", Kind: sanitize.KindText, Outcome: sanitize.Clean, Fate: 7}}
		return reply(claim, pass)
	case "fields":
		return reply(claim, append([]byte("X-Sekisho-Result: clean\r\nBcc: victim@town.example.lg.jp\r\n"), pass...))
	case "no-header":
		return reply(claim, in)
	case "twice":
		return reply(claim, append([]byte("Content-Type: text/plain\r\n"), pass...))
	case "bare":
		return reply(claim, bytes.Replace(pass, []byte("\r\n"), []byte("\n"), 1))
	case "header":
		// Decoded fields that would end their line.
		claim.Report.Header = []sanitize.Field{{Name: "Subject", Text: "a\r\nBcc: victim@town.example.lg.jp\r\n\r\n" + string(in)},
			{Name: "X-Injected", Text: "yes"}, {Name: "From", Mailboxes: []sanitize.Mailbox{{Name: "x\r\nBcc: y", Address: "a\r\nBcc: victim@town.example.lg.jp"}}}}
		return reply(claim, []byte("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello\r\n"))
	case "nothing":
		return reply(claim, nil)
	case "hang":
		_ = reply(claim, pass)
		time.Sleep(time.Hour)
	case "spin":
		for {
		}
	case "stall":
		// Honest, and slow: something is in hand when the test kills the daemon.
		time.Sleep(30 * time.Second)
		return honest(o, in)
	case "flood":
		b := bytes.Repeat([]byte("x"), 1<<20)
		for range 64 {
			_, _ = answer.Write(b)
			_, _ = os.Stderr.Write(b)
		}
		return nil
	case "memory":
		var hoard [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
	}
	return fmt.Errorf("lie %q is none", lie)
}
