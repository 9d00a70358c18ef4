package sandbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is what the processor maps by one entry of the level above pages, on
// both of our architectures with pages of 4 KiB.
const hugePage = 2 << 20

// resident copies the binary into memory, on large pages where the kernel makes
// some, and seals the copy.
//
// A worker lives for milliseconds, of which the kernel takes a tenth to map the
// program, 64 KiB at a time as it is touched, and to unmap it again. Large pages
// are mapped 2 MiB at a time; a file has them only in memory. And what a daemon
// was started with is what its workers are, whatever is put in the binary's place
// meanwhile.
func resident(path string) (*os.File, error) {
	name := filepath.Base(path)
	from, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 every one may be executed
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memory for the binary: %w", err)
	}
	to := os.NewFile(uintptr(fd), name)
	defer to.Close()
	size, err := io.Copy(to, from)
	if err != nil {
		return nil, fmt.Errorf("copy the binary into memory: %w", err)
	}
	// What is not a whole large page stays on small ones.
	size = (size + hugePage - 1) / hugePage * hugePage
	if err := to.Truncate(size); err != nil {
		return nil, fmt.Errorf("memory for the binary: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(to.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal the binary in memory: %w", err)
	}
	// An error means small pages: slower and no less right.
	_ = collapse(to, uintptr(size))
	// What somebody may write to is not executed.
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", to.Fd()))
	if err != nil {
		return nil, fmt.Errorf("open the binary in memory: %w", err)
	}
	return f, nil
}

// collapse puts a file in memory on large pages (madvise(2), MADV_COLLAPSE, Linux
// 6.1 and newer).
func collapse(f *os.File, size uintptr) error {
	at, unmap, err := mapAtBoundary(f, size)
	if err != nil {
		return err
	}
	defer unmap()
	return unix.Madvise(unsafe.Slice((*byte)(at), size), unix.MADV_COLLAPSE)
}

// mapAtBoundary maps a file to be read from where a large page may begin.
func mapAtBoundary(f *os.File, size uintptr) (at unsafe.Pointer, unmap func(), err error) {
	all, err := unix.MmapPtr(-1, 0, nil, size+hugePage, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, err
	}
	unmap = func() { _ = unix.MunmapPtr(all, size+hugePage) }
	at = unsafe.Add(all, -uintptr(all)&(hugePage-1))
	if _, err := unix.MmapPtr(int(f.Fd()), 0, at, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		unmap()
		return nil, nil, err
	}
	return at, unmap, nil
}
