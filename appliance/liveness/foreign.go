package liveness

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"
)

// errForeign says that another program has a socket for the same two ends, errDaemon that one has the
// port, for whatever peer.
var (
	errForeign = errors.New("another program has a UDP socket for the same peer, and is left to answer")
	errDaemon  = errors.New("the tunnel was created by a request, and the program that has its UDP port is left to answer")
)

// scanPause is the least time between two looks at the host's UDP sockets: a look costs
// milliseconds, and thousands of tunnels may want one.
const scanPause = 100 * time.Millisecond

// foreign finds UDP sockets of other programs. One goroutine looks for all lines that ask meanwhile.
type foreign struct {
	asked chan question
}

type question struct {
	key    *lineKey
	answer chan<- error
}

// taken returns errForeign or errDaemon if a line is to be left to another program's UDP socket, as it is
// after the call.
func (f *foreign) taken(ctx context.Context, k *lineKey) error {
	answer := make(chan error, 1)
	select {
	case f.asked <- question{k, answer}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run answers until ctx ends.
func (f *foreign) run(ctx context.Context) {
	for {
		var all []question
		select {
		case <-ctx.Done():
			return
		case q := <-f.asked:
			all = append(all, q)
		}
		for wait := time.After(scanPause / 10); wait != nil; {
			select {
			case <-ctx.Done():
				return
			case q := <-f.asked:
				all = append(all, q)
			case <-wait:
				wait = nil
			}
		}
		answer(all)
		select {
		case <-ctx.Done():
			return
		case <-time.After(scanPause):
		}
	}
}

func answer(all []question) {
	sockets := make(map[string]bool)
	err := errors.Join(scan("/proc/thread-self/net/udp", sockets), scan("/proc/thread-self/net/udp6", sockets))
	for _, q := range all {
		switch {
		case err != nil:
			q.answer <- fmt.Errorf("look for sockets of other programs: %w", err)
		case sockets[procEndpoint(q.key.local)+" "+procEndpoint(q.key.peer)]:
			q.answer <- errForeign
		case q.key.yields && listens(sockets, q.key.local):
			q.answer <- errDaemon
		default:
			q.answer <- nil
		}
	}
}

// listens tells of a socket that is connected to nobody and gets what comes to an address and port.
func listens(sockets map[string]bool, local netip.AddrPort) bool {
	for _, addr := range []netip.Addr{local.Addr(), netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if (local.Addr().Is4() || !addr.Is4()) && sockets[procEndpoint(netip.AddrPortFrom(addr, local.Port()))] {
			return true
		}
	}
	return false
}

// scan adds the two ends of each connected socket, and the one of each other, as the file has them.
func scan(name string, to map[string]bool) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv6 here
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		switch {
		case len(w) <= 2:
		case strings.HasSuffix(w[2], ":0000"):
			to[w[1]] = true
		default:
			to[w[1]+" "+w[2]] = true
		}
	}
	return lines.Err()
}

// procEndpoint writes an endpoint as /proc/net does: words of 32 bits as this machine has them.
func procEndpoint(a netip.AddrPort) string {
	var b strings.Builder
	ip := a.Addr().AsSlice()
	for i := 0; i < len(ip); i += 4 {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(ip[i:]))
	}
	fmt.Fprintf(&b, ":%04X", a.Port())
	return b.String()
}
