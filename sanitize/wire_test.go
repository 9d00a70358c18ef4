package sanitize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

func laneOptions(id string) Options {
	return Options{Task: TaskMail, ID: id, Now: noon, Expires: noon.Add(time.Hour), Language: "ja", Own: []string{"town.example.lg.jp"},
		Rules: map[Class]Rule{ClassExecutable: {}}, AuthLine: "auth of " + id, PartID: "part of " + id}
}

func TestOptionsOfALaneArriveAsTheyWere(t *testing.T) {
	a, b, c := laneOptions("a"), laneOptions("b"), laneOptions("c")
	b.AuthLine, b.PartID = "", "" // nothing of a may stand there
	c.Language, c.Own = "en", nil
	var wire bytes.Buffer
	for _, o := range []Options{a, b, c, a} {
		if err := WriteOptions(&wire, &o); err != nil {
			t.Fatal(err)
		}
	}
	var l LaneOptions
	for _, want := range []Options{a, b, c, a} {
		got, err := l.Next(&wire)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v\nwant %+v", *got, want)
		}
	}
	if _, err := l.Next(&wire); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

// A field of Options that changes from mail to mail costs a decoding each; one
// that WriteOptions takes out and Next does not put back would be lost.
func TestEveryOptionReachesTheLane(t *testing.T) {
	typ := reflect.TypeFor[Options]()
	for i := range typ.NumField() {
		if typ.Field(i).Tag.Get("json") == "-" {
			continue
		}
		want := laneOptions("a")
		v := reflect.ValueOf(&want).Elem().Field(i)
		switch v.Kind() {
		case reflect.String:
			v.SetString("zzz")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int64:
			v.SetInt(7)
		case reflect.Uint8:
			v.SetUint(3)
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"zzz"}))
		case reflect.Map:
			v.SetZero()
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(noon.Add(time.Minute)))
			} else {
				v.FieldByIndex([]int{0}).SetInt(7)
			}
		default:
			t.Fatalf("%s: no way to change a %s", typ.Field(i).Name, v.Kind())
		}
		var wire bytes.Buffer
		if err := WriteOptions(&wire, &want); err != nil {
			t.Fatal(err)
		}
		got, err := new(LaneOptions).Next(&wire)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", typ.Field(i).Name, got, err, want)
		}
	}
}

func TestAFrameIsReadStrictly(t *testing.T) {
	frame := func(n uint32, body string) string { return string(binary.BigEndian.AppendUint32(nil, n)) + body }
	of := func(v any) string {
		b, err := encode(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	o := laneOptions("a")
	good := of(&o)
	type other struct {
		Options
		Deliver bool
	}
	for name, in := range map[string]string{
		"another type":       frame(uint32(len(of(other{}))), of(other{})),
		"two values":         frame(uint32(len(good)+1), good+"\x00"),
		"less than promised": frame(uint32(len(good)+1), good),
		"a value cut short":  frame(uint32(len(good)-1), good[:len(good)-1]),
		"a promise alone":    frame(1<<20, ``),
		"nothing":            frame(0, ``),
		"JSON":               frame(13, `{"id":"a\u0020"}`),
		"more than allowed":  frame(1<<20+1, strings.Repeat("x", 1<<20+1)),
	} {
		var o Options
		if err := ReadNext(strings.NewReader(in), &o, 1<<20); err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ReadNext(strings.NewReader(frame(uint32(len(good)), good)), &o, 1<<20); err != nil {
		t.Errorf("as it was written: %v", err)
	}
	if err := ReadNext(strings.NewReader(frame(uint32(len(good)+1), good)), &o, 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

func TestTheLengthOfAFrameIsAClaim(t *testing.T) {
	in := string(binary.BigEndian.AppendUint32(nil, 16<<20)) + "{}"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		var o Options
		if err := ReadNext(strings.NewReader(in), &o, MaxReply); err == nil {
			t.Fatal("no error")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 64<<10 {
		t.Errorf("%d octets allocated for two", n)
	}
}
