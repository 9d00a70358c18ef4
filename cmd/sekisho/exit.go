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

// Errors that have a status of their own.
var (
	errUsage   = errors.New("wrong usage")
	errRefused = errors.New("refused or held")
	// errShown says that everything worth saying has been printed.
	errShown = errors.New("")
)

// exitStatus is the one place where an error becomes a status.
func exitStatus(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage), errors.Is(err, client.ErrUsage):
		return exitUsage
	case errors.Is(err, errRefused):
		return exitRefused
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrNotAllowed):
		return exitNotAllowed
	default:
		return exitFailed
	}
}
