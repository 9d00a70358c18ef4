package lossyfs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A node shows an inode of a disk to the kernel. The kernel's page cache stands
// before it: a write(2) comes here before it returns, what is written through a
// mapping comes when the kernel likes.
type node struct {
	fs.Inode
	d *disk
	i *inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeFlusher   = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeMknoder   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeLinker    = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// child makes the kernel's node of an inode, or finds it when it has one.
func (n *node) child(ctx context.Context, i *inode, out *fuse.EntryOut) *fs.Inode {
	n.d.mu.Lock()
	attr(i, &out.Attr)
	n.d.mu.Unlock()
	return n.NewInode(ctx, &node{d: n.d, i: i}, fs.StableAttr{Mode: i.mode & syscall.S_IFMT, Ino: i.ino})
}

func attr(i *inode, a *fuse.Attr) {
	a.Ino, a.Mode, a.Nlink, a.Uid, a.Gid = i.ino, i.mode, max(i.links, 1), i.uid, i.gid
	a.Size, a.Blocks, a.Blksize = uint64(len(i.data)), uint64(len(i.data)+sector-1)/sector, page
	a.SetTimes(&i.mtime, &i.mtime, &i.mtime)
}

// Lookup is fs.NodeLookuper's.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.d.mu.Lock()
	i, ok := n.i.names[name]
	n.d.mu.Unlock()
	if !ok {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, i, out), 0
}

// Getattr is fs.NodeGetattrer's.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	attr(n.i, &out.Attr)
	return 0
}

// Setattr is fs.NodeSetattrer's.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if e := n.d.truncate(n.i, int64(size)); e != 0 {
			return e
		}
	}
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if e := n.d.writable(); e != 0 {
		return e
	}
	if mode, ok := in.GetMode(); ok {
		n.i.mode = n.i.mode&syscall.S_IFMT | mode&^syscall.S_IFMT
	}
	if uid, ok := in.GetUID(); ok {
		n.i.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.i.gid = gid
	}
	if t, ok := in.GetMTime(); ok {
		n.i.mtime = t
	}
	attr(n.i, &out.Attr)
	return 0
}

// Open is fs.NodeOpener's.
func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read is fs.NodeReader's.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if off >= int64(len(n.i.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.i.data[off:])]), 0
}

// Write is fs.NodeWriter's.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	w, e := n.d.write(n.i, data, off)
	return uint32(w), e
}

// Fsync is fs.NodeFsyncer's, for files and directories.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return n.d.sync(n.i) }

// Flush is fs.NodeFlusher's: close(2) makes nothing durable.
func (n *node) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

// Readdir is fs.NodeReaddirer's.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	es := make([]fuse.DirEntry, 0, len(n.i.names))
	for name, i := range n.i.names {
		es = append(es, fuse.DirEntry{Name: name, Mode: i.mode & syscall.S_IFMT, Ino: i.ino})
	}
	return fs.NewListDirStream(es), 0
}

func (n *node) makeChild(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var uid, gid uint32
	if c, ok := fuse.FromContext(ctx); ok {
		uid, gid = c.Uid, c.Gid
	}
	i, e := n.d.make(n.i, name, mode, uid, gid)
	if e != 0 {
		return nil, e
	}
	return n.child(ctx, i, out), 0
}

// Create is fs.NodeCreater's.
func (n *node) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	c, e := n.makeChild(ctx, name, syscall.S_IFREG|mode&^syscall.S_IFMT, out)
	return c, nil, fuse.FOPEN_KEEP_CACHE, e
}

// Mkdir is fs.NodeMkdirer's.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.makeChild(ctx, name, syscall.S_IFDIR|mode&^syscall.S_IFMT, out)
}

// Mknod is fs.NodeMknoder's: the administrators' socket is one.
func (n *node) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.makeChild(ctx, name, mode, out)
}

// Unlink is fs.NodeUnlinker's.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.d.unlink(n.i, name, false)
}

// Rmdir is fs.NodeRmdirer's.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.d.unlink(n.i, name, true)
}

// Rename is fs.NodeRenamer's.
func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const noReplace = 1 // RENAME_NOREPLACE
	to, ok := newParent.(*node)
	if !ok || flags&^noReplace != 0 {
		return syscall.EINVAL
	}
	return n.d.rename(n.i, name, to.i, newName, flags&noReplace != 0)
}

// Link is fs.NodeLinker's.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	t, ok := target.(*node)
	if !ok {
		return nil, syscall.EXDEV
	}
	if e := n.d.link(t.i, n.i, name); e != 0 {
		return nil, e
	}
	return n.child(ctx, t.i, out), 0
}

// Statfs is fs.NodeStatfser's.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	out.Bsize, out.Frsize, out.NameLen = page, page, 255
	out.Blocks = uint64(n.d.size() / page)
	out.Bfree = uint64(max(n.d.size()-n.d.used, 0) / page)
	out.Bavail = out.Bfree
	out.Files = uint64(n.d.maxInodes())
	out.Ffree = uint64(max(n.d.maxInodes()-n.d.inodes, 0))
	return 0
}

// mount shows a disk at a directory.
func mount(d *disk, dir string) (*fuse.Server, error) {
	forever := time.Hour // nothing changes but through the kernel
	root := &node{d: d, i: d.root}
	return fs.Mount(dir, root, &fs.Options{
		EntryTimeout: &forever, AttrTimeout: &forever,
		RootStableAttr: &fs.StableAttr{Ino: d.root.ino, Mode: syscall.S_IFDIR},
		MountOptions: fuse.MountOptions{
			FsName: "lossyfs", Name: "lossyfs", DirectMountStrict: true, AllowOther: true, DisableXAttrs: true,
		},
	})
}
