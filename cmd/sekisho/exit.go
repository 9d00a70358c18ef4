package main

import (
	"errors"

	"sekisho/admin/client"
)

// The exit statuses of contract.md.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitRefused    = 3
	exitNotFound   = 4
	exitNotAllowed = 5
)

// errUsage marks what the caller typed wrongly.
var errUsage = errors.New("wrong usage")

// ended is the error of a command that has said all there is to say and ends
// with a status of its own.
type ended int

func (e ended) Error() string { return "" }

// exitStatus is the one place where an error becomes a status.
func exitStatus(err error) int {
	var e ended
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return int(e)
	case errors.Is(err, errUsage), errors.Is(err, client.ErrUsage):
		return exitUsage
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrNotAllowed):
		return exitNotAllowed
	default:
		return exitFailed
	}
}
