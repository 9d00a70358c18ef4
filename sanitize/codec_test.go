package sanitize

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"
	"unicode/utf8"
)

// filled puts something else than zero everywhere.
func filled(r *rand.Rand, v reflect.Value) {
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(noon.Add(time.Duration(r.IntN(1e9)))))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString([]string{"a", "関所", "x\x00\n", "é"}[r.IntN(4)])
	case v.CanInt():
		v.SetInt(1 + r.Int64N(100) - 150*r.Int64N(2)/2)
	case v.CanUint():
		v.SetUint(1 + r.Uint64N(200))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(40), 40))
		for i := range v.Len() {
			filled(r, v.Index(i))
		}
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			filled(r, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			filled(r, k)
			filled(r, e)
			v.SetMapIndex(k, e)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				filled(r, v.Field(i))
			}
		}
	default:
		panic(v.Type().String())
	}
}

func TestEveryFieldOfEveryFrameArrives(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []reflect.Type{reflect.TypeFor[Options](), reflect.TypeFor[Reply](), reflect.TypeFor[ToolCall](), reflect.TypeFor[ToolAnswer](), reflect.TypeFor[occasion]()} {
		for range 50 {
			want, got := reflect.New(typ), reflect.New(typ)
			filled(r, want.Elem())
			b, err := encode(nil, want.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if err := decode(b, got.Interface()); err != nil || !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("%s: %v: got %+v\nwant %+v", typ, err, got, want)
			}
		}
	}
}

func TestTheLaneOfOptionsIsNotTold(t *testing.T) {
	b, err := encode(nil, &Options{Lane: "the secret of a tenant"})
	if err != nil || bytes.Contains(b, []byte("secret")) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestTwoTypesAreNeverTakenForOneAnother(t *testing.T) {
	type a struct{ X, Y uint8 }
	type b struct{ Y, X uint8 }
	type c struct {
		X uint8
		Y int8
	}
	in, err := encode(nil, a{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(in, new(b)); err == nil {
		t.Error("fields in another order were read")
	}
	if err := decode(in, new(c)); err == nil {
		t.Error("a field of another kind was read")
	}
	if _, err := encode(nil, map[string]any{"deliver": true}); err == nil {
		t.Error("any type was written")
	}
}

// FuzzReply reads what a captured worker may say: no panic, nothing allocated
// by a number alone, texts are UTF-8, and what was read is written the same
// way again by us and read again.
func FuzzReply(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		var seed Reply
		filled(r, reflect.ValueOf(&seed).Elem())
		b, err := encode(nil, &seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	empty, err := encode(nil, &Reply{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(empty)
	f.Add(append(empty[:9:9], 0xff, 0xff, 0xff, 0xff, 0x7f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var got, again Reply
		err := decode(b, &got)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10+uint64(len(b))*200 {
			t.Errorf("%d octets allocated for %d", n, len(b))
		}
		if err != nil {
			return
		}
		for _, p := range got.Report.Parts {
			if !utf8.ValidString(p.Name) {
				t.Errorf("name %q", p.Name)
			}
		}
		c, err := encode(nil, &got)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(c, &again); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%v: read again %+v\nfirst %+v", err, again, got)
		}
	})
}
