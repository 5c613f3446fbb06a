package appliance

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// flood sends frames of session file/one, a thousand a second, until stop is called, which tells how many
// packets with them came out of the core port.
func flood(t *testing.T) (stop func() (sent, received, twice uint64)) {
	t.Helper()
	out, in := packetSocket(t, "far-ac0", 0), packetSocket(t, "far-core0", unix.ETH_P_ALL)
	var ended, drained atomic.Bool
	var sent, twice uint64
	var received atomic.Uint64
	var sender, receiver sync.WaitGroup
	sender.Go(func() {
		frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 100, 0x88, 0xb5}, make([]byte, 60)...)
		for next := time.Now(); !ended.Load(); time.Sleep(time.Until(next)) {
			// What a busy machine kept it from sending is not sent at once, which no ring would take.
			if next = next.Add(time.Millisecond); time.Since(next) > 5*time.Millisecond {
				next = time.Now()
			}
			binary.BigEndian.PutUint64(frame[len(frame)-8:], sent)
			if _, err := unix.Write(out, frame); err == nil {
				sent++
			} else if !errors.Is(err, unix.ENOBUFS) {
				t.Error(err)
				return
			}
		}
	})
	receiver.Go(func() {
		b, seen := make([]byte, 2048), map[uint64]bool{}
		for {
			n, err := unix.Read(in, b)
			switch {
			case errors.Is(err, unix.EAGAIN) && drained.Load():
				return
			case err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
				t.Error(err)
				return
			}
			if n < 46 || b[12] != 8 || b[13] != 0 || b[23] != unix.IPPROTO_L2TP || binary.BigEndian.Uint32(b[34:]) != 1 {
				continue
			}
			number := binary.BigEndian.Uint64(b[n-8 : n])
			if seen[number] {
				twice++
				continue
			}
			seen[number] = true
			received.Add(1)
		}
	})
	return func() (uint64, uint64, uint64) {
		ended.Store(true)
		sender.Wait()
		for end := time.Now().Add(soon); received.Load() < sent && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond) // for what comes twice
		drained.Store(true)
		receiver.Wait()
		return sent, received.Load(), twice
	}
}

// packetSocket is a socket on an interface, which waits 100 ms for what comes.
func packetSocket(t *testing.T, name string, protocol uint16) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	patience := unix.Timeval{Usec: 100_000}
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index, Protocol: protocol<<8 | protocol>>8})); err != nil {
		t.Fatal(err)
	}
	return fd
}
