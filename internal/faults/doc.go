// Package faults holds the tests in which something breaks under the gateway:
// the power goes, the disk fills up or fails, stored bytes change. They run on
// the disk of internal/faults/lossyfs and need root and /dev/fuse; without them
// they are skipped and say so.
//
// The tests named TestPower are those that scripts/mutate.sh runs against
// copies of the program from which one sync is missing: for each, one of them
// must fail.
package faults
