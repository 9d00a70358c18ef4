package sanitize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What the two sides of the boundary say to each other is written field after
// field, without names. A process that lives for one message would spend more
// on looking up names, as JSON has them, than on most messages. So that no two
// versions misunderstand each other, a sign of the layout of the whole type
// stands in front, and another sign is refused.
//
// Numbers are varints, texts and lists have their length in front. Nothing is
// allocated by such a length alone.

// A plan says how values of one type are written.
type plan struct {
	kind      reflect.Kind // Invalid: a time
	index     []int        // of a struct: its fields that are written
	parts     []*plan      // of a struct: their plans
	key, elem *plan
	sign      uint64 // of the outermost type only
}

// plans holds the plan of each outermost type.
var plans sync.Map

var timeType = reflect.TypeFor[time.Time]()

func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	layout := make([]byte, 0, 2048)
	p, err := makePlan(t, &layout, 0)
	if err != nil {
		return nil, fmt.Errorf("frame of %s: %w", t, err)
	}
	h := fnv.New64a()
	h.Write(layout)
	p.sign = h.Sum64()
	plans.Store(t, p)
	return p, nil
}

// makePlan describes t and appends its layout.
func makePlan(t reflect.Type, layout *[]byte, depth int) (p *plan, err error) {
	if depth > 10 {
		return nil, errors.New("it is nested too deep")
	}
	say := func(words ...string) {
		for _, w := range words {
			*layout = append(append(*layout, w...), ' ')
		}
	}
	if t == timeType {
		say("time")
		return &plan{kind: reflect.Invalid}, nil
	}
	p = &plan{kind: t.Kind()}
	say(p.kind.String())
	switch p.kind {
	case reflect.Bool, reflect.String, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
	case reflect.Slice:
		p.elem, err = makePlan(t.Elem(), layout, depth+1)
	case reflect.Array:
		say(fmt.Sprint(t.Len()))
		if t.Elem().Kind() != reflect.Uint8 {
			return nil, fmt.Errorf("no way to write a %s", t)
		}
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("no way to write a %s", t)
		}
		if p.key, err = makePlan(t.Key(), layout, depth+1); err == nil {
			p.elem, err = makePlan(t.Elem(), layout, depth+1)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get("json") == "-" {
				continue
			}
			if !f.IsExported() {
				return nil, fmt.Errorf("%s.%s is not exported", t, f.Name)
			}
			say(f.Name)
			part, err := makePlan(f.Type, layout, depth+1)
			if err != nil {
				return nil, err
			}
			p.index, p.parts = append(p.index, i), append(p.parts, part)
		}
		say("end")
	default:
		return nil, fmt.Errorf("no way to write a %s", t)
	}
	return p, err
}

// encode appends v, which may be a pointer.
func encode(b []byte, v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return nil, errors.New("frame of nothing")
	}
	p, err := planOf(rv.Type())
	if err != nil {
		return nil, err
	}
	return p.append(binary.BigEndian.AppendUint64(b, p.sign), rv)
}

func (p *plan) append(b []byte, v reflect.Value) (_ []byte, err error) {
	switch p.kind {
	case reflect.Invalid:
		text, err := v.Interface().(time.Time).MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("write a time: %w", err)
		}
		return append(binary.AppendUvarint(b, uint64(len(text))), text...), nil
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case reflect.String:
		s := v.String()
		return append(binary.AppendUvarint(b, uint64(len(s))), s...), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int()), nil
	case reflect.Slice:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		for i := range v.Len() {
			if b, err = p.elem.append(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return b, nil
	case reflect.Array:
		for i := range v.Len() {
			b = append(b, byte(v.Index(i).Uint()))
		}
		return b, nil
	case reflect.Map:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		// In one order, so that what is equal is written alike.
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
		for _, k := range keys {
			if b, err = p.key.append(b, k); err != nil {
				return nil, err
			}
			if b, err = p.elem.append(b, v.MapIndex(k)); err != nil {
				return nil, err
			}
		}
		return b, nil
	case reflect.Struct:
		for i, part := range p.parts {
			if b, err = part.append(b, v.Field(p.index[i])); err != nil {
				return nil, err
			}
		}
		return b, nil
	default:
		return nil, fmt.Errorf("no way to write a %s", v.Type())
	}
}

var errFrame = errors.New("not the octets of its type")

// decode reads b, all of it, into v, a pointer to a zero value.
func decode(b []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return errors.New("decode frame: nowhere to put it")
	}
	p, err := planOf(rv.Type().Elem())
	if err != nil {
		return err
	}
	if len(b) < 8 || binary.BigEndian.Uint64(b) != p.sign {
		return errors.New("decode frame: the other side is of another version")
	}
	if b, err = p.read(b[8:], rv.Elem()); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	if len(b) != 0 {
		return fmt.Errorf("decode frame: %d octets too many", len(b))
	}
	return nil
}

// length reads the length of something each element of which takes at least
// an octet.
func length(b []byte) (int, []byte, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return 0, nil, errFrame
	}
	return int(n), b[k:], nil
}

// read reads one value and returns what follows it.
func (p *plan) read(b []byte, v reflect.Value) ([]byte, error) {
	switch p.kind {
	case reflect.Invalid:
		n, b, err := length(b)
		if err != nil {
			return nil, err
		}
		var t time.Time
		if err := t.UnmarshalBinary(b[:n]); err != nil {
			return nil, errFrame
		}
		v.Set(reflect.ValueOf(t))
		return b[n:], nil
	case reflect.Bool:
		if len(b) == 0 || b[0] > 1 {
			return nil, errFrame
		}
		v.SetBool(b[0] == 1)
		return b[1:], nil
	case reflect.String:
		n, b, err := length(b)
		if err != nil {
			return nil, err
		}
		s := string(b[:n])
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "\ufffd") // nobody behind here expects anything else
		}
		v.SetString(s)
		return b[n:], nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, k := binary.Uvarint(b)
		if k <= 0 || v.OverflowUint(n) {
			return nil, errFrame
		}
		v.SetUint(n)
		return b[k:], nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, k := binary.Varint(b)
		if k <= 0 || v.OverflowInt(n) {
			return nil, errFrame
		}
		v.SetInt(n)
		return b[k:], nil
	case reflect.Slice:
		n, b, err := length(b)
		if err != nil || n == 0 {
			return b, err
		}
		// The number is a claim: the list grows as its elements come.
		v.Set(reflect.MakeSlice(v.Type(), 0, min(n, 16)))
		for i := range n {
			if i == v.Cap() {
				v.Grow(i)
			}
			v.SetLen(i + 1)
			if b, err = p.elem.read(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return b, nil
	case reflect.Array:
		if len(b) < v.Len() {
			return nil, errFrame
		}
		reflect.Copy(v, reflect.ValueOf(b[:v.Len()]))
		return b[v.Len():], nil
	case reflect.Map:
		n, b, err := length(b)
		if err != nil || n == 0 {
			return b, err
		}
		m := reflect.MakeMap(v.Type())
		for range n {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			if b, err = p.key.read(b, k); err != nil {
				return nil, err
			}
			if b, err = p.elem.read(b, e); err != nil {
				return nil, err
			}
			m.SetMapIndex(k, e)
		}
		if m.Len() != n {
			return nil, errFrame // a key twice
		}
		v.Set(m)
		return b, nil
	case reflect.Struct:
		var err error
		for i, part := range p.parts {
			if b, err = part.read(b, v.Field(p.index[i])); err != nil {
				return nil, err
			}
		}
		return b, nil
	default:
		return nil, errFrame
	}
}
