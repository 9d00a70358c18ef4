// Package version says which build this is. Make sets the two variables at
// link time; nothing changes them afterwards.
package version

// Version and Commit of the build.
var (
	Version = "unknown"
	Commit  = "unknown"
)

// Engine names the rules by which files are treated. It changes whenever an
// output could differ, so that a report says what made it.
const Engine = "sekisho-1"
