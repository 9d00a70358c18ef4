package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestKillEndsItNeedsNamespaces(t *testing.T) {
	p, _, out := start(t, small(), "wait")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	p.Kill()
	p.Kill()
	st, err := p.Wait()
	if err != nil || st.Err() != ErrKilled || !st.Killed {
		t.Errorf("ended with %v, %+v", err, st)
	}
	p.Kill()
	if again, err := p.Wait(); again != st || err != nil {
		t.Errorf("a second wait says %+v, %v", again, err)
	}
}

func TestContextEndsItNeedsNamespaces(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := (&Command{Path: program(t), Args: []string{"spin"}, Profile: small()}).Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	st, err := p.Wait()
	if err != nil || st.Err() != ErrKilled || !st.Killed {
		t.Errorf("ended with %v, %+v", err, st)
	}
}

// The death signal belongs to the thread that forked. A caller whose thread
// ends must not take the child along.
func TestTheCallersThreadMayEndNeedsNamespaces(t *testing.T) {
	type started struct {
		p       *Process
		in, out *os.File
		thread  int
	}
	c := make(chan started)
	var onAThread func()
	onAThread = func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread does not end. Held here, it cannot be the next.
			done := make(chan bool)
			go func() {
				onAThread()
				close(done)
			}()
			<-done
			runtime.UnlockOSThread()
			return
		}
		p, in, out := start(t, small(), "echo")
		c <- started{p, in, out, unix.Gettid()}
	}
	go onAThread()
	s := <-c
	deadline := time.Now().Add(20 * time.Second)
	for unix.Tgkill(os.Getpid(), s.thread, 0) == nil {
		if time.Now().After(deadline) {
			t.Fatal("the thread does not end")
		}
		runtime.Gosched()
	}
	if _, err := s.in.WriteString("still here"); err != nil {
		t.Fatal(err)
	}
	s.in.Close()
	got, err := io.ReadAll(s.out)
	if string(got) != "still here" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if st, err := s.p.Wait(); st.Err() != nil || err != nil {
		t.Errorf("ended with %v, %v", st.Err(), err)
	}
}

func TestKillingTheParentKillsTheChildNeedsNamespaces(t *testing.T) {
	t.Run("direct", func(t *testing.T) { killTheParent(t) })
	t.Run("by a starter", func(t *testing.T) { killTheParent(t, "starter") })
}

func killTheParent(t *testing.T, how ...string) {
	cmd := exec.Command(program(t), append([]string{middleFlag, program(t)}, how...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var said, rest string
	if _, err := fmt.Fscan(stdout, &pid, &said, &rest); err != nil || said != "waiting" {
		t.Fatalf("the parent said %d %q %q, %v", pid, said, rest, err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if !gone(t, pidfd) {
		unix.Kill(pid, unix.SIGKILL)
		t.Error("the child outlived its parent")
	}
}

// If the parent dies before the child has asked for the death signal, the
// other end of the lifeline is closed when the child looks.
func TestADeadParentIsNoticedNeedsNamespaces(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer r.Close()
	cmd := byHand(t, "echo")
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN}, Pdeathsig: syscall.SIGKILL}
	mapIDs(cmd.SysProcAttr)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the parent is gone") {
		t.Errorf("ended with %v and %q", err, out)
	}
}
