package scenarios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/bench/lab"
)

const thousand = 1000

// thousandAddr is the address of loc(k+1) on host i, each in a network of its own.
func thousandAddr(i, k int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(1 + k/250), byte(k % 250), byte(1 + i)})
}

// A thousand local interfaces at once, each pinged through its session; time and memory are told.
// It runs beside no other test, so that the memory is its own.
func TestThousandLocalInterfaces(t *testing.T) {
	w := pair(t, shape{})
	for i := range 2 {
		must(t, w.hosts[i].SetSysctl("net/ipv6/conf/default/disable_ipv6", "1"))
	}
	before := kernelKiB(t)
	began := time.Now()
	var both sync.WaitGroup
	var failed [2]error
	for i, b := range w.boxes {
		both.Go(func() { failed[i] = b.Start(t.Context(), localsConfig(i, thousand)) })
	}
	both.Wait()
	must(t, errors.Join(failed[:]...))
	for i := range 2 {
		waitUp(t, w.boxes[i])
	}
	t.Logf("both boxes ready, with %d interfaces each, after %v", thousand, time.Since(began).Round(time.Millisecond))

	began = time.Now()
	index := [2][]int{}
	for i := range 2 {
		index[i] = addressAll(t, w.hosts[i], i)
	}
	t.Logf("addresses given after %v", time.Since(began).Round(time.Millisecond))

	// In groups, each forgotten afterwards: the neighbour table of the kernel is one for all
	// namespaces and holds 1,024 by default.
	began = time.Now()
	const group = 125
	var silent []string
	for k := 0; k < thousand; k += group {
		for _, j := range pingAll(t, w.hosts[0], k, group) {
			silent = append(silent, fmt.Sprintf("loc%d", j+1))
		}
		for i := range 2 {
			forget(t, w.hosts[i], i, index[i], k, group)
		}
	}
	t.Logf("%d of %d answered, after %v", thousand-len(silent), thousand, time.Since(began).Round(time.Millisecond))
	if len(silent) > 0 {
		t.Errorf("no answer over %v", silent[:min(len(silent), 10)])
	}
	t.Logf("memory: about %d KiB of the kernel for each interface (other programs disturb this); %d and %d KiB resident in the processes",
		(kernelKiB(t)-before)/(2*thousand), residentKiB(t, w.boxes[0]), residentKiB(t, w.boxes[1]))

	// Found again, not made anew.
	must(t, w.boxes[0].Stop())
	began = time.Now()
	must(t, w.boxes[0].Restart(t.Context()))
	waitUp(t, w.boxes[0])
	t.Logf("started again over what is there: %v", time.Since(began).Round(time.Millisecond))
	if got := linkState(t, w.hosts[0], "loc1000").Index; got != index[0][thousand-1] {
		t.Errorf("loc1000 has index %d after a restart, had %d", got, index[0][thousand-1])
	}
	if silent := pingAll(t, w.hosts[0], thousand-group, group); len(silent) > 0 {
		t.Errorf("after a restart, %d do not answer", len(silent))
	}
	for _, b := range w.boxes {
		balanced(t, b)
	}
}

// addressAll gives every loc its address, brings it up, and returns their indexes.
func addressAll(t *testing.T, n *lab.Namespace, i int) []int {
	t.Helper()
	index := make([]int, thousand)
	must(t, n.Run(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		links, err := h.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			number, ok := strings.CutPrefix(l.Attrs().Name, "loc")
			k, err := strconv.Atoi(number)
			if !ok || err != nil {
				continue
			}
			index[k-1] = l.Attrs().Index
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: thousandAddr(i, k-1).AsSlice(), Mask: net.CIDRMask(24, 32)}}
			if err := h.AddrAdd(l, addr); err != nil {
				return fmt.Errorf("address loc%d: %w", k, err)
			}
			if err := h.LinkSetUp(l); err != nil {
				return fmt.Errorf("set loc%d up: %w", k, err)
			}
		}
		return nil
	}))
	for k, x := range index {
		if x == 0 {
			t.Fatalf("there is no loc%d on host %d", k+1, i)
		}
	}
	return index
}

// forget empties the neighbour table of some interfaces.
func forget(t *testing.T, n *lab.Namespace, i int, index []int, first, count int) {
	t.Helper()
	must(t, n.Run(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		for k := first; k < first+count; k++ {
			err := h.NeighDel(&netlink.Neigh{LinkIndex: index[k], IP: thousandAddr(1-i, k).AsSlice()})
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("forget the neighbour on loc%d: %w", k+1, err)
			}
		}
		return nil
	}))
}

// pingAll sends an echo request over each of some interfaces, again to those that are silent, and
// returns who stays silent for long.
func pingAll(t *testing.T, n *lab.Namespace, first, count int) (silent []int) {
	t.Helper()
	var c net.PacketConn
	must(t, n.Run(func() (err error) {
		c, err = net.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	}))
	defer c.Close()
	waiting := map[string]int{}
	for k := first; k < first+count; k++ {
		waiting[thousandAddr(1, k).String()] = k
	}
	for deadline := time.Now().Add(soon); len(waiting) > 0 && time.Now().Before(deadline); {
		for _, k := range waiting {
			_, err := c.WriteTo(echo(uint16(k)), &net.IPAddr{IP: thousandAddr(1, k).AsSlice()})
			if !errors.Is(err, unix.ENOBUFS) { // others' tests have neighbours in the table too
				must(t, err)
			}
		}
		must(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		b := make([]byte, 1500)
		for len(waiting) > 0 {
			size, from, err := c.ReadFrom(b)
			if err != nil {
				break
			}
			if k, ok := waiting[from.String()]; ok && size > 8 && b[0] == 0 && bytes.Equal(b[4:size], echo(uint16(k))[4:]) {
				delete(waiting, from.String())
			}
		}
	}
	for _, k := range waiting {
		silent = append(silent, k)
	}
	return silent
}

// echo is an ICMP echo request with a payload of its own.
func echo(k uint16) []byte {
	b := make([]byte, 64)
	b[0] = 8
	binary.BigEndian.PutUint16(b[4:], 0x7877)
	binary.BigEndian.PutUint16(b[6:], k)
	for i := 8; i < len(b); i++ {
		b[i] = byte(i) ^ byte(k)
	}
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// kernelKiB is what the kernel of this machine has allocated for its own objects.
func kernelKiB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	must(t, err)
	return keyKiB(t, string(text), "Slab:") + keyKiB(t, string(text), "Percpu:")
}

// residentKiB is what a box's process has in RAM.
func residentKiB(t *testing.T, b *lab.Box) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Process().PID()))
	must(t, err)
	return keyKiB(t, string(text), "VmRSS:")
}

func keyKiB(t *testing.T, text, key string) int {
	t.Helper()
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == key {
			n, err := strconv.Atoi(f[1])
			must(t, err)
			return n
		}
	}
	t.Fatalf("no %s in:\n%s", key, text)
	return 0
}
