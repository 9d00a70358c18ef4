//go:build !linux

package sandbox

import (
	"context"
)

// Elsewhere nothing of this exists, so nothing hostile is read.

// Enter refuses.
func Enter([]string) (args []string, r Report, err error) { return nil, Report{}, ErrUnsupported }

// LandlockVersion is 0.
func LandlockVersion() int { return 0 }

// A Process cannot exist here.
type Process struct{}

// Start refuses.
func (c *Command) Start(context.Context) (*Process, error) { return nil, ErrUnsupported }

// A Starter starts nothing here.
type Starter struct{ Path string }

// OpenStarter refuses.
func OpenStarter(_ context.Context, binary string, _ Profile) (*Starter, error) {
	return &Starter{Path: binary}, ErrUnsupported
}

// Close does nothing.
func (s *Starter) Close() error { return nil }

// Pid is 0.
func (p *Process) Pid() int { return 0 }

// Kill does nothing.
func (p *Process) Kill() {}

// Done is closed.
func (p *Process) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Wait refuses.
func (p *Process) Wait() (State, error) { return State{Exit: -1}, ErrUnsupported }

// SelfTest refuses.
func SelfTest(context.Context, string, Profile) (Findings, error) {
	return Findings{}, ErrUnsupported
}

// Cgroups are Linux's.
type Cgroups struct{}

// OpenCgroups refuses.
func OpenCgroups(context.Context, string, Profile) (*Cgroups, error) { return nil, ErrUnsupported }

// Start refuses.
func (t *Tool) Start(context.Context) (*Process, error) { return nil, ErrUnsupported }

// Prepare refuses.
func (t *Tool) Prepare(context.Context) (*Spare, error) { return nil, ErrUnsupported }
