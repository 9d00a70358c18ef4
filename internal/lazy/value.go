package lazy

import "sync"

// A Value is made when it is first asked for. As a variable of a package it is
// written as a literal, which the compiler lays out in the binary; a function
// that returned one would run at the start of every worker.
type Value[T any] struct {
	Make func() T

	once sync.Once
	made T
}

// Get returns the value.
func (v *Value[T]) Get() T {
	v.once.Do(func() { v.made = v.Make() })
	return v.made
}
