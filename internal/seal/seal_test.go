package seal

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func newSigner(t testing.TB) *Signer {
	t.Helper()
	s, err := NewSigner(NewSeed())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anIntake() Intake {
	return Intake{Tenant: "town", ID: "id1", Profile: "default", Zone: 1, Treatment: 0,
		From: "a@example.com", To: []string{"b@town.example.lg.jp", "c@town.example.lg.jp"}, Asked: []string{"envid x", "b notify NEVER"}, Digest: [32]byte{1}}
}

func anOutgoing() Outgoing {
	return Outgoing{Tenant: "town", ID: "id1", Kind: Treated, Networks: []uint8{1, 2},
		To: []string{"b@town.example.lg.jp", "c@town.example.lg.jp"}, Header: [32]byte{2}, Body: [32]byte{3}}
}

// eachField calls f with a copy of v in which one field was changed, for every
// field there is: a field added later and left out of the canonical form fails.
func eachField[T any](t *testing.T, v func() T, f func(name string, changed T)) {
	t.Helper()
	typ := reflect.TypeFor[T]()
	for i := range typ.NumField() {
		c := v()
		field := reflect.ValueOf(&c).Elem().Field(i)
		switch field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Uint8:
			field.SetUint(field.Uint() + 1)
		case reflect.Slice:
			field.Set(field.Slice(0, 1))
		case reflect.Array:
			field.Index(31).SetUint(1)
		default:
			t.Fatalf("%s: no way to change a %s", typ.Field(i).Name, field.Kind())
		}
		f(typ.Field(i).Name, c)
	}
}

func TestEveryFieldOfAnIntakeIsSealed(t *testing.T) {
	s := newSigner(t)
	sig := s.SealIntake(anIntake())
	if err := s.Verifier().CheckIntake(anIntake(), sig); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	eachField(t, anIntake, func(name string, changed Intake) {
		if err := s.Verifier().CheckIntake(changed, sig); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s changed: got %v, want ErrMismatch", name, err)
		}
	})
}

func TestEveryFieldOfAnOutgoingSealIsSealed(t *testing.T) {
	s := newSigner(t)
	sig := s.SealOutgoing(anOutgoing())
	if err := s.Verifier().CheckOutgoing(anOutgoing(), sig); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	eachField(t, anOutgoing, func(name string, changed Outgoing) {
		if err := s.Verifier().CheckOutgoing(changed, sig); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s changed: got %v, want ErrMismatch", name, err)
		}
	})
}

func TestOrderOfRecipientsAndNetworksDoesNotMatter(t *testing.T) {
	s := newSigner(t)
	i := anIntake()
	i.To[0], i.To[1] = i.To[1], i.To[0]
	if err := s.Verifier().CheckIntake(i, s.SealIntake(anIntake())); err != nil {
		t.Errorf("intake: %v", err)
	}
	o := anOutgoing()
	o.To[0], o.To[1] = o.To[1], o.To[0]
	o.Networks[0], o.Networks[1] = o.Networks[1], o.Networks[0]
	if err := s.Verifier().CheckOutgoing(o, s.SealOutgoing(anOutgoing())); err != nil {
		t.Errorf("outgoing: %v", err)
	}
}

func TestNeighbouringFieldsDoNotRunTogether(t *testing.T) {
	a, b := anIntake(), anIntake()
	a.Tenant, a.ID = "ab", "c"
	b.Tenant, b.ID = "a", "bc"
	if bytes.Equal(a.canonical(), b.canonical()) {
		t.Error("two different intakes have one form")
	}
	a, b = anIntake(), anIntake()
	a.To, b.To = []string{"ab"}, []string{"a", "b"}
	if bytes.Equal(a.canonical(), b.canonical()) {
		t.Error("two different lists of recipients have one form")
	}
}

func TestSealsOfDifferentKindsDoNotStandForEachOther(t *testing.T) {
	s := newSigner(t)
	if bytes.HasPrefix(anIntake().canonical(), anOutgoing().canonical()[:16]) {
		t.Error("both forms begin alike")
	}
	row := anIntake().canonical()
	if err := s.CheckRow(row, s.SealIntake(anIntake())); !errors.Is(err, ErrMismatch) {
		t.Errorf("intake seal on a row: got %v, want ErrMismatch", err)
	}
}

func TestAnotherKeysSealIsRefused(t *testing.T) {
	a, b := newSigner(t), newSigner(t)
	if err := a.Verifier().CheckIntake(anIntake(), b.SealIntake(anIntake())); !errors.Is(err, ErrMismatch) {
		t.Errorf("intake: got %v, want ErrMismatch", err)
	}
	if err := a.CheckRow([]byte("row"), b.SealRow([]byte("row"))); !errors.Is(err, ErrMismatch) {
		t.Errorf("row: got %v, want ErrMismatch", err)
	}
}

func TestRowSeal(t *testing.T) {
	s := newSigner(t)
	sum := s.SealRow([]byte("row"))
	if err := s.CheckRow([]byte("row"), sum); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	for _, c := range []struct {
		name     string
		row, sum []byte
	}{
		{"row changed", []byte("rox"), sum},
		{"seal cut short", []byte("row"), sum[:16]},
		{"no seal", []byte("row"), nil},
	} {
		if err := s.CheckRow(c.row, c.sum); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: got %v, want ErrMismatch", c.name, err)
		}
	}
}

func TestZeroVerifierRefuses(t *testing.T) {
	s := newSigner(t)
	var v Verifier
	if err := v.CheckIntake(anIntake(), s.SealIntake(anIntake())); !errors.Is(err, ErrMismatch) {
		t.Errorf("got %v, want ErrMismatch", err)
	}
}

func TestSeedOfTheWrongLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := NewSigner(make([]byte, n)); err == nil {
			t.Errorf("a seed of %d bytes was taken", n)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	seed := bytes.Repeat([]byte{0x41}, 32)
	s, err := NewSigner(seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%x"} {
		for _, v := range []any{s, *s} {
			out := fmt.Sprintf(verb, v)
			if bytes.Contains([]byte(out), []byte("AAAAAAAA")) || bytes.Contains([]byte(out), []byte("41414141")) || bytes.Contains([]byte(out), []byte("65 65 65 65")) {
				t.Errorf("%s of %T shows the key: %s", verb, v, out)
			}
		}
	}
}

func TestARememberedSealProvesNothingElse(t *testing.T) {
	s := newSigner(t)
	sig := s.SealIntake(anIntake())
	v := s.Verifier()
	for range 2 { // the second time from memory
		if err := v.CheckIntake(anIntake(), sig); err != nil {
			t.Fatalf("unchanged: %v", err)
		}
	}
	forged := bytes.Clone(sig)
	forged[0] ^= 1
	if err := v.CheckIntake(anIntake(), forged); !errors.Is(err, ErrMismatch) {
		t.Errorf("another seal on the same facts: got %v, want ErrMismatch", err)
	}
	if err := v.CheckIntake(anIntake(), nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("no seal on the same facts: got %v, want ErrMismatch", err)
	}
	if err := v.CheckOutgoing(anOutgoing(), sig); !errors.Is(err, ErrMismatch) {
		t.Errorf("an intake seal on outgoing facts: got %v, want ErrMismatch", err)
	}
	if err := newSigner(t).Verifier().CheckIntake(anIntake(), sig); !errors.Is(err, ErrMismatch) {
		t.Errorf("another key remembers it: got %v, want ErrMismatch", err)
	}
}

func TestARefusedSealIsNotRemembered(t *testing.T) {
	s := newSigner(t)
	forged := make([]byte, 64)
	for range 3 {
		if err := s.Verifier().CheckIntake(anIntake(), forged); !errors.Is(err, ErrMismatch) {
			t.Fatalf("got %v, want ErrMismatch", err)
		}
	}
}

func TestTheMemoryOfSealsIsBounded(t *testing.T) {
	m := new(memory)
	var k [32]byte
	for i := range 5 * remembered {
		k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16)
		m.add(k)
	}
	if n := len(m.young) + len(m.old); n > 2*remembered {
		t.Errorf("%d seals are remembered, more than %d", n, 2*remembered)
	}
	if !m.has(k) {
		t.Error("the last one is forgotten")
	}
	k = [32]byte{}
	if m.has(k) {
		t.Error("the first one is still there")
	}
}

// BenchmarkCheckIntake shows what the memory saves.
func BenchmarkCheckIntake(b *testing.B) {
	s := newSigner(b)
	sig := s.SealIntake(anIntake())
	for name, v := range map[string]Verifier{"remembered": s.Verifier(), "anew": {key: s.Verifier().key}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := v.CheckIntake(anIntake(), sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
