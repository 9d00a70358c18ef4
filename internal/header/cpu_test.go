package header

import (
	"syscall"
	"time"
)

// cpu is the processor time this process has used. The tests against inputs
// made to be slow bound it rather than the clock: a loaded machine is no fault
// of the reader.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
