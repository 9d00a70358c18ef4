package lossyfs

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Mode says what a power cut leaves of what was not synced.
type Mode string

// The ways in which a disk may come back. All keep what was synced.
const (
	// Drop loses everything that was not synced: the strictest disk.
	Drop Mode = "drop"
	// Keep loses nothing: what a process that is killed leaves behind.
	Keep Mode = "keep"
	// Some keeps a random part: any page of any write, any directory entry.
	Some Mode = "some"
	// Torn keeps the writes of a file in order up to a random one, and of that
	// one a number of whole sectors.
	Torn Mode = "torn"
)

const (
	page   = 4096
	sector = 512
)

// Faults are the ills of a disk that is not cut off. The zero value is health.
type Faults struct {
	WriteDelay time.Duration // before each write
	SyncDelay  time.Duration // within each fsync: what comes meanwhile is not covered by it
	SyncErr    bool          // fsync fails with EIO and the pages are lost, as Linux does it: the next one reports success
	WriteErr   bool          // write fails with EIO
	ShortWrite bool          // writes of more than a byte take half
	ReadOnly   bool          // as after `errors=remount-ro`
	RenameErr  bool          // rename fails with EIO
	Bytes      int64         // size of the disk; zero is 1 GiB
	Inodes     int64         // zero is a million
}

// Counts is what a disk was asked to do.
type Counts struct{ Writes, Syncs, DirSyncs int64 }

// An inode is a file, a directory or a socket.
type inode struct {
	ino      uint64
	mode     uint32 // type and permissions; durable with the first entry that is
	uid, gid uint32
	mtime    time.Time
	links    uint32

	data    []byte // as a reader sees it
	durable []byte // as a power cut leaves it
	pending []change

	names   map[string]*inode // of a directory
	kept    map[string]*inode // its durable entries
	keptSeq int64
}

// A change is a write, or, without data, a truncation to off.
type change struct {
	seq  int64
	off  int64
	data []byte
}

func (i *inode) isDir() bool { return i.mode&syscall.S_IFMT == syscall.S_IFDIR }

// apply changes b.
func (c *change) apply(b []byte) []byte {
	end := c.off + int64(len(c.data))
	if c.data == nil && int64(len(b)) > end {
		return b[:end:end]
	}
	if n := end - int64(len(b)); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	copy(b[c.off:], c.data)
	return b
}

// A disk is the whole state: what readers see and what is durable.
type disk struct {
	mu     sync.Mutex
	root   *inode
	ino    uint64
	seq    int64
	used   int64 // bytes of data
	inodes int64
	faults Faults
	counts Counts
	cut    bool // its power was cut: it may be read, no more
}

func newDisk() *disk {
	d := &disk{}
	d.root = d.newInode(syscall.S_IFDIR | 0o755)
	return d
}

func (d *disk) newInode(mode uint32) *inode {
	d.ino++
	d.inodes++
	i := &inode{ino: d.ino, mode: mode, mtime: time.Now(), links: 1}
	if i.isDir() {
		i.names, i.kept = map[string]*inode{}, map[string]*inode{}
	}
	return i
}

func (d *disk) size() int64 {
	if d.faults.Bytes > 0 {
		return d.faults.Bytes
	}
	return 1 << 30
}

func (d *disk) maxInodes() int64 {
	if d.faults.Inodes > 0 {
		return d.faults.Inodes
	}
	return 1 << 20
}

// writable says why nothing may be changed.
func (d *disk) writable() syscall.Errno {
	switch {
	case d.cut:
		return syscall.EIO
	case d.faults.ReadOnly:
		return syscall.EROFS
	}
	return 0
}

func (d *disk) change(i *inode, c change) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return e
	}
	grow := c.off + int64(len(c.data)) - int64(len(i.data))
	if c.data != nil {
		if d.faults.WriteErr {
			return syscall.EIO
		}
		grow = max(grow, 0)
		d.counts.Writes++
	}
	if grow > 0 && d.used+grow > d.size() {
		return syscall.ENOSPC
	}
	d.used += grow
	d.seq++
	c.seq = d.seq
	i.data = c.apply(i.data)
	i.pending = append(i.pending, c)
	i.mtime = time.Now()
	return 0
}

func (d *disk) write(i *inode, b []byte, off int64) (int, syscall.Errno) {
	d.mu.Lock()
	delay, short := d.faults.WriteDelay, d.faults.ShortWrite
	d.mu.Unlock()
	time.Sleep(delay)
	if short && len(b) > 1 {
		b = b[:len(b)/2]
	}
	if e := d.change(i, change{off: off, data: append(make([]byte, 0, len(b)), b...)}); e != 0 {
		return 0, e
	}
	return len(b), 0
}

func (d *disk) truncate(i *inode, size int64) syscall.Errno {
	return d.change(i, change{off: size})
}

// sync makes durable what i holds at the call, not what comes meanwhile.
func (d *disk) sync(i *inode) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return e
	}
	seq := d.seq
	names := maps.Clone(i.names)
	if i.isDir() {
		d.counts.DirSyncs++
	} else {
		d.counts.Syncs++
	}
	if delay := d.faults.SyncDelay; delay > 0 {
		d.mu.Unlock()
		time.Sleep(delay)
		d.mu.Lock()
		if e := d.writable(); e != 0 {
			return e
		}
	}
	if i.isDir() {
		if d.faults.SyncErr {
			return syscall.EIO
		}
		if seq >= i.keptSeq {
			i.kept, i.keptSeq = names, seq
		}
		return 0
	}
	n := 0
	for n < len(i.pending) && i.pending[n].seq <= seq {
		if !d.faults.SyncErr {
			i.durable = i.pending[n].apply(i.durable)
		}
		n++
	}
	i.pending = slices.Delete(i.pending, 0, n)
	if d.faults.SyncErr {
		return syscall.EIO
	}
	return 0
}

// enter puts an entry into a directory.
func (d *disk) enter(dir *inode, name string, i *inode) {
	d.seq++
	dir.names[name] = i
	dir.mtime = time.Now()
}

func (d *disk) remove(dir *inode, name string) {
	d.seq++
	i := dir.names[name]
	delete(dir.names, name)
	dir.mtime = time.Now()
	i.links--
	if i.links == 0 {
		d.used -= int64(len(i.data))
		d.inodes--
	}
}

// make creates a file, a directory or a socket.
func (d *disk) make(dir *inode, name string, mode, uid, gid uint32) (*inode, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return nil, e
	}
	if _, ok := dir.names[name]; ok {
		return nil, syscall.EEXIST
	}
	if d.inodes >= d.maxInodes() {
		return nil, syscall.ENOSPC
	}
	i := d.newInode(mode)
	i.uid, i.gid = uid, gid
	d.enter(dir, name, i)
	return i, 0
}

func (d *disk) unlink(dir *inode, name string, wantDir bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return e
	}
	i, ok := dir.names[name]
	switch {
	case !ok:
		return syscall.ENOENT
	case wantDir && !i.isDir():
		return syscall.ENOTDIR
	case wantDir && len(i.names) > 0:
		return syscall.ENOTEMPTY
	case !wantDir && i.isDir():
		return syscall.EISDIR
	}
	d.remove(dir, name)
	return 0
}

func (d *disk) link(i, dir *inode, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return e
	}
	if _, ok := dir.names[name]; ok {
		return syscall.EEXIST
	}
	i.links++
	d.enter(dir, name, i)
	return 0
}

func (d *disk) rename(from *inode, name string, to *inode, newName string, noReplace bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.writable(); e != 0 {
		return e
	}
	if d.faults.RenameErr {
		return syscall.EIO
	}
	i, ok := from.names[name]
	if !ok {
		return syscall.ENOENT
	}
	if old, ok := to.names[newName]; ok {
		switch {
		case old == i:
			return 0
		case noReplace:
			return syscall.EEXIST
		case old.isDir() && len(old.names) > 0:
			return syscall.ENOTEMPTY
		}
		d.remove(to, newName)
	}
	i.links++
	d.enter(to, newName, i)
	d.remove(from, name)
	return 0
}

// afterCut ends the disk and returns what is found when the power is back. The
// old one may still be read: a process that has it mapped must not die of it.
func (d *disk) afterCut(mode Mode, r *rand.Rand) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
	n := &disk{ino: d.ino, seq: d.seq}
	copies := map[*inode]*inode{}
	var visit func(i *inode) *inode
	visit = func(i *inode) *inode {
		c, ok := copies[i]
		if ok {
			c.links++
			return c
		}
		c = &inode{ino: i.ino, mode: i.mode, uid: i.uid, gid: i.gid, mtime: i.mtime, links: 1}
		copies[i] = c
		n.inodes++
		if !i.isDir() {
			c.data = survivors(i, mode, r)
			c.durable = slices.Clone(c.data)
			n.used += int64(len(c.data))
			return c
		}
		left := maps.Clone(i.kept)
		if mode == Keep {
			left = maps.Clone(i.names)
		}
		if mode == Some {
			for _, name := range slices.Sorted(maps.Keys(union(i.names, i.kept))) {
				if i.names[name] == i.kept[name] || r.IntN(2) == 0 {
					continue
				}
				if now, ok := i.names[name]; ok {
					left[name] = now
				} else {
					delete(left, name)
				}
			}
		}
		c.names, c.kept = map[string]*inode{}, map[string]*inode{}
		for _, name := range slices.Sorted(maps.Keys(left)) {
			c.names[name] = visit(left[name])
			c.kept[name] = c.names[name]
		}
		return c
	}
	n.root = visit(d.root)
	return n
}

func union(a, b map[string]*inode) map[string]*inode {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// survivors is what is left of a file.
func survivors(i *inode, mode Mode, r *rand.Rand) []byte {
	b := slices.Clone(i.durable)
	if len(i.pending) == 0 && mode != Keep {
		return b
	}
	switch mode {
	case Keep:
		return slices.Clone(i.data)
	case Some:
		for _, c := range i.pending {
			if c.data == nil {
				if r.IntN(2) == 0 {
					b = c.apply(b)
				}
				continue
			}
			for at := 0; at < len(c.data); {
				n := min(page-int(c.off+int64(at))%page, len(c.data)-at)
				if r.IntN(2) == 0 {
					p := change{off: c.off + int64(at), data: c.data[at : at+n]}
					b = p.apply(b)
				}
				at += n
			}
		}
	case Torn:
		last := r.IntN(len(i.pending))
		for _, c := range i.pending[:last] {
			b = c.apply(b)
		}
		c := i.pending[last]
		if len(c.data) > 0 {
			c.data = c.data[:r.IntN(len(c.data)/sector+1)*sector]
			b = c.apply(b)
		}
	}
	return b
}
