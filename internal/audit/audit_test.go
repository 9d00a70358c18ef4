package audit

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func event() Event {
	return Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC), Tenant: "town", Actor: "gateway", Act: "received", ID: "id1", Detail: "d"}
}

func TestChainStartsAtOneAndHasNoGap(t *testing.T) {
	a := Link(0, "", event())
	if a.Seq != 1 || a.Prev != "" || len(a.Hash) != 64 {
		t.Errorf("first record: seq %d, prev %q, hash %q", a.Seq, a.Prev, a.Hash)
	}
	b := Link(a.Seq, a.Hash, event())
	if b.Seq != 2 || b.Prev != a.Hash {
		t.Errorf("second record: seq %d, prev %q; want 2, %q", b.Seq, b.Prev, a.Hash)
	}
	if b.Hash == a.Hash {
		t.Error("the same event at two places has one hash")
	}
}

func TestEveryFieldOfARecordIsHashed(t *testing.T) {
	r := Link(0, "", event())
	if !r.Intact() {
		t.Fatal("a fresh record is not intact")
	}
	var change func(name string, v reflect.Value, restore func() Record)
	change = func(name string, v reflect.Value, restore func() Record) {
		old := reflect.ValueOf(v.Interface())
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Microsecond)))
		case v.Kind() == reflect.String:
			v.SetString(v.String() + "x")
		case v.Kind() == reflect.Int64:
			v.SetInt(v.Int() + 1)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				change(v.Type().Field(i).Name, v.Field(i), restore)
			}
			return
		default:
			t.Fatalf("%s: no way to change a %s", name, v.Kind())
		}
		if restore().Intact() {
			t.Errorf("%s changed: still intact", name)
		}
		v.Set(old)
	}
	change("Record", reflect.ValueOf(&r).Elem(), func() Record { return r })
	if !r.Intact() {
		t.Error("the test did not put everything back")
	}
}

func TestNeighbouringFieldsOfARecordDoNotRunTogether(t *testing.T) {
	a, b := event(), event()
	a.Tenant, a.Actor = "ab", "c"
	b.Tenant, b.Actor = "a", "bc"
	if Link(0, "", a).Hash == Link(0, "", b).Hash {
		t.Error("two different events have one hash")
	}
}

func TestHashSurvivesTheStoresPrecisionAndZone(t *testing.T) {
	r := Link(0, "", event())
	r.Time = time.UnixMicro(r.Time.UnixMicro()).In(time.FixedZone("JST", 9*3600))
	if !r.Intact() {
		t.Error("a record read back in local time is not intact")
	}
}

func TestHashIsOfTheDocumentedForm(t *testing.T) {
	// Whoever checks an exported chain with another program relies on this form.
	r := Link(0, "", Event{Time: time.Unix(0, 0), Tenant: "t", Actor: "a", Act: "x", ID: "i", Detail: strings.Repeat("d", 3)})
	if want := "3008a25f44c224bde33a41bd1a9be7e2d3e5d8be6fd3f4a6f1fafd440af2a87c"; r.Hash != want {
		t.Errorf("got %s, want %s", r.Hash, want)
	}
}
