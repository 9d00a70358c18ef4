package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Starter is a small process that forks for a big one.
//
// A new user namespace forbids the cheap kind of fork: all page tables of the
// parent are copied, some 4 ms of CPU time for every 100 MiB, and every page
// it writes to afterwards is copied as well. So a daemon starts one Starter,
// which is the same binary and reads nothing but orders of the daemon, and
// lets it fork. Set Path and give it to Commands; the process is started when
// it is first needed, and again if it was lost; a Start that is under way at
// that moment fails, since its process may have run for a while. It dies with
// its parent, and its children die with it.
type Starter struct {
	Path string // the binary, as in Command

	image  *os.File // of the binary in memory, see resident; nil: it is read from Path
	shared bool     // its children share its network, see OpenStarter
	celled bool     // it has cells
	cell   bool     // it is one

	mu     sync.Mutex
	cells  cells
	orders *os.File // our end of the socket, nil if there is no process
	ended  chan struct{}
	closed bool
}

const (
	starterFlag  = "--starter"
	emptyNetwork = "in-an-empty-network" // after starterFlag
	asCell       = "as-a-cell"           // likewise
	withGroup    = "group"
	withoutGroup = "-"
	starterFD    = 3
	// maxOrder bounds path and arguments of a command; the order of a tool, with
	// its files in it, is the longest (toolOrder.argument).
	maxOrder = 120 << 10
)

// OpenStarter returns a Starter that executes the binary as it is now, from memory,
// whose children share its empty network, and that has cells for brief ones, if the
// self-test of the binary passes there. If not, the error says why, and each child
// of the Starter gets what it does not share.
func OpenStarter(ctx context.Context, binary string, p Profile) (*Starter, error) {
	t, free, err := layTargets(binary)
	if err != nil {
		return &Starter{Path: binary}, fmt.Errorf("try a common network: %w", err)
	}
	defer free()
	try := func(c Command) error {
		found, _, err := runOne(ctx, c, probes[0], t)
		if err == nil && !found.Pass {
			err = errors.New(found.Detail)
		}
		return err
	}
	network := func(s *Starter) error {
		return try(Command{Path: binary, Profile: p, Starter: s})
	}
	cell := func(s *Starter) error {
		err := try(Command{Path: binary, Profile: p, Starter: s, Brief: true})
		if err == nil && !s.celled {
			err = errors.New("it refused to start anything")
		}
		return err
	}
	// Some systems execute nothing that lies in memory.
	image, memErr := resident(binary)
	if memErr == nil {
		s := &Starter{Path: binary, image: image, shared: true, celled: true}
		if memErr = network(s); memErr == nil {
			memErr = cell(s)
		}
		if memErr == nil {
			return s, nil
		}
		memErr = errors.Join(memErr, s.Close())
	}
	memErr = fmt.Errorf("try the binary in memory: %w", memErr)
	s := &Starter{Path: binary, shared: true, celled: true}
	if err := network(s); err != nil {
		return &Starter{Path: binary}, errors.Join(memErr, fmt.Errorf("try a common network: %w", err), s.Close())
	}
	if err := cell(s); err != nil {
		s.closeCells()
		s.celled = false
		return s, errors.Join(memErr, fmt.Errorf("try a cell: %w", err))
	}
	return s, memErr
}

// start has the Starter start a command.
func (s *Starter) start(c *Command) (*Process, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	o := order{Profile: c.Profile, given: len(c.Files), probe: c.probe}
	if l := s.cellFor(c); l != nil {
		p, err := s.inCell(l, c, o.String())
		if !errors.As(err, new(refusal)) {
			return p, err
		}
		// What a cell cannot do now it will not do for the next one either.
		s.mu.Lock()
		s.celled = false
		s.mu.Unlock()
	}
	return s.order(c, o.String(), c.Args, c.Profile.CPU)
}

// order has the Starter launch a command, whose first argument tells Enter what
// to do.
//
// An order is one packet: whether there is a control group, path and
// arguments, with the files attached and, before them, a socket of its own
// and the group. On that socket come one packet when
// the process is started or not, and one when it has ended; closing it kills
// the process.
func (s *Starter) order(c *Command, first string, args []string, cpu time.Duration) (*Process, error) {
	packet := strings.Join(append([]string{withoutGroup, c.Path, first}, args...), "\x00")
	if len(packet) > maxOrder || strings.IndexByte(c.Path, 0) >= 0 {
		return nil, errors.New("path or arguments too long")
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	fds := []int{int(theirs.Fd())}
	// SCM_RIGHTS has no "none": /dev/null stands for it.
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer null.Close()
	if c.group != nil {
		packet = withGroup + strings.TrimPrefix(packet, withoutGroup)
		fds = append(fds, int(c.group.Fd()))
	}
	for _, f := range c.Files {
		if f == nil {
			f = null
		}
		fds = append(fds, int(f.Fd()))
	}
	begin := time.Now()
	if err := s.send([]byte(packet), unix.UnixRights(fds...)); err != nil {
		ours.Close()
		return nil, fmt.Errorf("starter: %w", err)
	}
	runtime.KeepAlive(c) // its files were numbers only
	theirs.Close()

	buf := make([]byte, 4096)
	n, err := ours.Read(buf)
	if err != nil || n == 0 {
		ours.Close()
		return nil, fmt.Errorf("starter: no answer (%w)", orEOF(err))
	}
	p := &Process{done: make(chan struct{})}
	if _, err := fmt.Sscanf(string(buf[:n]), "started %d", &p.pid); err != nil {
		ours.Close()
		return nil, refusal(strings.TrimPrefix(string(buf[:n]), "refused "))
	}
	var once sync.Once
	p.signal = func() {
		once.Do(func() {
			// An error means that the Starter is gone, and the process with it.
			if raw, err := ours.SyscallConn(); err == nil {
				_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
			}
		})
	}
	go func() {
		defer close(p.done)
		defer ours.Close()
		if c.end != nil {
			defer c.end()
		}
		n, err := ours.Read(buf)
		p.state = State{Exit: -1, Signal: "unknown", Killed: p.killed.Load(), Wall: time.Since(begin), cpu: cpu}
		if err != nil || n == 0 {
			p.err = fmt.Errorf("wait: the starter is gone (%w)", orEOF(err))
			return
		}
		st, err := decodeState(string(buf[:n]))
		if err != nil {
			p.err = fmt.Errorf("wait: %w", err)
			return
		}
		p.state.Exit, p.state.Signal = st.Exit, st.Signal
		p.state.User, p.state.System, p.state.MaxRSS = st.User, st.System, st.MaxRSS
	}()
	return p, nil
}

// A refusal says that nothing was started.
type refusal string

func (r refusal) Error() string { return string(r) }

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// send hands a packet to the process, which is started if there is none.
func (s *Starter) send(packet, rights []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for attempt := 0; ; attempt++ {
		if s.closed {
			return os.ErrClosed
		}
		if s.orders == nil {
			if err := s.begin(); err != nil {
				return err
			}
		}
		var err error
		raw, err := s.orders.SyscallConn()
		if err == nil {
			werr := raw.Write(func(fd uintptr) bool {
				_, err = unix.SendmsgN(int(fd), packet, rights, nil, unix.MSG_NOSIGNAL)
				return !errors.Is(err, unix.EAGAIN)
			})
			if werr != nil {
				err = werr
			}
		}
		if err == nil {
			return nil
		}
		s.orders.Close()
		s.orders = nil
		// It was lost since the last time: once more with a new one.
		if attempt > 0 {
			return err
		}
	}
}

// begin starts the process. The caller holds the lock.
func (s *Starter) begin() error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		ours.Close()
		return err
	}
	defer null.Close()
	attr := &os.ProcAttr{
		Dir: "/", Env: []string{},
		Files: []*os.File{null, null, os.Stderr, theirs},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, // as in Command.launch
	}
	path, argv := s.Path, []string{s.Path, starterFlag}
	switch {
	case s.cell:
		argv = append(argv, asCell)
		attr.Sys = cellAttr()
	case s.shared:
		argv = append(argv, emptyNetwork)
		intoEmptyNetwork(attr.Sys)
	}
	if s.image != nil || s.cell {
		// The user of a cell is nobody, who often cannot walk to the binary.
		var file *os.File
		if file, path, err = s.open(attr.Files); err != nil {
			ours.Close()
			return err
		}
		defer file.Close()
	}
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		// As in Command.start: the thread that forked must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		p, err := os.StartProcess(path, argv, attr)
		started <- err
		if err == nil {
			// How it ended is of no use: whoever waits for one of its
			// children is told by the socket.
			_, _ = p.Wait()
		}
	}()
	if err := <-started; err != nil {
		ours.Close()
		return err
	}
	s.orders, s.ended = ours, ended
	return nil
}

// open is openBinary of the image, or of the file where there is none.
func (s *Starter) open(files []*os.File) (file *os.File, path string, err error) {
	if s.image == nil {
		return openBinary(s.Path, files)
	}
	raw, err := s.image.SyscallConn()
	if err != nil {
		return nil, "", err
	}
	// A cell may begin while its Starter is closed: held like this the number stays
	// the image's and cannot become another file's.
	if cerr := raw.Control(func(fd uintptr) {
		file, path, err = openBinary(fmt.Sprintf("/proc/self/fd/%d", fd), files)
	}); cerr != nil {
		return nil, "", cerr
	}
	return file, path, err
}

// intoEmptyNetwork has a process begin in a network of its own. Root needs
// nothing else for that. Others need a user namespace, in which they stay who
// they are.
func intoEmptyNetwork(sys *syscall.SysProcAttr) {
	sys.Cloneflags = unix.CLONE_NEWNET
	if u, g := os.Geteuid(), os.Getegid(); u != 0 {
		sys.Cloneflags |= unix.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: u, HostID: u, Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: g, HostID: g, Size: 1}}
	}
}

// Close ends the process and everything it started, and waits for its end.
// A Starter that was closed starts nothing any more.
func (s *Starter) Close() error {
	s.closeCells()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var err error
	if s.orders != nil {
		err = s.orders.Close()
		s.orders = nil
		<-s.ended
	}
	if s.image != nil && !s.cell { // a cell has that of its Starter
		err = errors.Join(err, s.image.Close())
		s.image = nil
	}
	return err
}

// socketpair makes a pair that keeps packets apart. Our end waits without
// holding a thread.
func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "starter"), os.NewFile(uintptr(fds[1]), "orders"), nil
}

// serve is the main of the Starter. It takes orders until its parent closes
// the socket, and exits; its children die with it. where says which namespaces
// were made for it.
func serve(where string) {
	// What it does is one system call after the other, and each fork is alone:
	// more threads at work only wake one another, and a fork copies what they
	// have touched.
	runtime.GOMAXPROCS(1)
	if where == asCell {
		if err := emptyCell(); err != nil {
			giveUp(fmt.Errorf("cell: %w", err))
		}
	}
	buf := make([]byte, maxOrder+1)
	oob := make([]byte, unix.CmsgSpace(4*(maxGiven+2)))
	for {
		n, oobn, flags, _, err := unix.Recvmsg(starterFD, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			giveUp(fmt.Errorf("starter: %w", err))
		}
		if n == 0 {
			os.Exit(0)
		}
		control, files, err := attached(oob[:oobn])
		if err != nil || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			giveUp(fmt.Errorf("starter: order with bad attachments (%v)", err))
		}
		packet := string(buf[:n])
		go func() {
			defer control.Close()
			obey(packet, control, files, where)
		}()
	}
}

// attached takes the descriptors of a packet: the socket of the order, and
// the files.
func attached(oob []byte) (control *os.File, files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, nil, err
	}
	if len(messages) != 1 {
		return nil, nil, fmt.Errorf("%d control messages", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, nil, err
	}
	if len(fds) == 0 {
		return nil, nil, errors.New("no descriptors")
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	for i, fd := range fds[1:] {
		files = append(files, os.NewFile(uintptr(fd), fmt.Sprint("file ", i)))
	}
	return os.NewFile(uintptr(fds[0]), "control"), files, nil
}

// obey starts one process, says so, and says how it ended. Errors of writing
// mean that nobody is interested any more; then the process is killed, too.
func obey(packet string, control *os.File, files []*os.File, where string) {
	parts := strings.Split(packet, "\x00")
	if len(parts) < 3 || parts[0] == withGroup && len(files) == 0 {
		giveUp(errors.New("starter: short order"))
	}
	c := &Command{Path: parts[1], Args: parts[3:], Files: files, self: parts[1] == os.Args[0]}
	if parts[0] == withGroup {
		c.group, c.Files = files[0], files[1:]
	}
	var p *Process
	var err error
	if strings.HasPrefix(parts[2], toolFlag) {
		// A tool may make sockets, so its network is its own. Its first process
		// checks the order.
		p, err = c.launch(parts[2], c.Args, 0)
	} else {
		var o order
		if o, err = parseOrder(parts[2]); err == nil {
			c.Profile, c.probe, c.sharesNetwork = o.Profile, o.probe, where == emptyNetwork
			c.inCell = where == asCell
			p, err = c.start()
		}
	}
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		fmt.Fprintf(control, "refused %s", err)
		return
	}
	if _, err := fmt.Fprintf(control, "started %d", p.Pid()); err != nil {
		p.Kill()
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		// Nothing is ever sent: reading ends when the parent wants the
		// process killed, or is gone, or when the process has ended.
		var b [1]byte
		_, _ = control.Read(b[:])
		p.Kill()
	}()
	st, err := p.Wait()
	if err == nil {
		fmt.Fprint(control, encodeState(st))
	}
	control.Close()
	<-watched
}

func encodeState(s State) string {
	return fmt.Sprintf("ended %d %q %d %d %d", s.Exit, s.Signal, s.User, s.System, s.MaxRSS)
}

func decodeState(text string) (State, error) {
	var s State
	n, err := fmt.Sscanf(text, "ended %d %q %d %d %d", &s.Exit, &s.Signal, &s.User, &s.System, &s.MaxRSS)
	if err != nil || n != 5 {
		return State{}, fmt.Errorf("the starter said %q", text)
	}
	return s, nil
}
