package appliance

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"xwire/appliance/nexthop"
	"xwire/appliance/rawip"
	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
)

const (
	// injectTries and injectPause bound how long one packet waits for a busy worker.
	injectTries = 20
	injectPause = 200 * time.Microsecond
	// devicesLast is how long what lies under a device is believed.
	devicesLast = 5 * time.Second
)

// wholeCounts are of tunnels' packets that came in fragments.
type wholeCounts struct {
	taken   atomic.Uint64 // given to a worker
	strange atomic.Uint64 // came in by another device than their tunnel's packets do
	tooLong atomic.Uint64 // for a chunk of the arena
	lost    atomic.Uint64 // the worker did not keep up
}

func (c *wholeCounts) byResult() map[string]uint64 {
	return map[string]uint64{"taken": c.taken.Load(), "strange": c.strange.Load(), "too_long": c.tooLong.Load(), "lost": c.lost.Load()}
}

// flow names a tunnel's packets by their addresses.
type flow struct{ local, peer netip.Addr }

// wholes takes packets that the kernel has put together from fragments, within its own limits of
// memory and time: the steering program leaves fragments to it. One reads one socket.
type wholes struct {
	a       *Appliance
	targets map[flow]*target
	under   map[int][]int // the interfaces at and under a device, by ifindex
	learnt  time.Time
	frame   []byte
}

// takeWholes has such packets forwarded until ctx ends.
func (a *Appliance) takeWholes(ctx context.Context) error {
	targets := map[flow]*target{}
	a.mu.Lock()
	for key, t := range a.targets {
		targets[flow{key.Local.WithZone(""), key.Peer.WithZone("")}] = t
	}
	a.mu.Unlock()
	var readers sync.WaitGroup
	var sockets []*rawip.Socket
	for _, ip6 := range []bool{false, true} {
		for _, proto := range []byte{l2tp.ProtoL2TP, l2tp.ProtoUDP} {
			s, err := rawip.Open(ip6, proto, rawip.DataMessages(ip6, proto))
			if err != nil { // IPv6 may be switched off
				a.log.Warn("packets that come in fragments are lost", "ipv6", ip6, "error", err)
				continue
			}
			sockets = append(sockets, s)
			w := &wholes{a: a, targets: targets, under: map[int][]int{}}
			readers.Go(func() { w.read(s) })
		}
	}
	<-ctx.Done()
	for _, s := range sockets {
		s.Close() // ends its reader
	}
	readers.Wait()
	return nil
}

func (w *wholes) read(s *rawip.Socket) {
	for {
		p, err := s.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			w.a.log.Warn("read packets put together by the kernel", "error", err)
			time.Sleep(time.Second)
		default:
			w.take(&p)
		}
	}
}

// take hands one packet to a worker, as a frame from the port by which its tunnel's packets come. What
// came in by another device is not the tunnel's, whatever its addresses say: a customer behind a
// local interface could have sent it.
func (w *wholes) take(p *rawip.Packet) {
	t := w.targets[flow{p.Dst, p.Src}]
	sid, ok := sessionOf(p.IP)
	if t == nil || !ok {
		return // no tunnel's, or one that stays with the kernel
	}
	w.a.mu.Lock()
	hop := t.hop
	way := w.a.portOf(hop.Ifindex)
	w.a.mu.Unlock()
	counts := &w.a.wholes
	if way == nil || !w.comesBy(p.Ifindex, hop.Ifindex) {
		counts.strange.Add(1)
		return
	}
	w.frame = appendFrame(w.frame[:0], &hop, p.IP)
	for range injectTries {
		err := w.a.fabric.Inject(int(sid)%len(w.a.workers), w.frame, way.index, pw.NoPort)
		switch {
		case err == nil:
			counts.taken.Add(1)
			return
		case !errors.Is(err, rings.ErrBusy):
			counts.tooLong.Add(1)
			return
		}
		time.Sleep(injectPause)
	}
	counts.lost.Add(1)
}

// appendFrame puts a packet into a frame as the tunnel's have it on the wire: a port may have
// attachment circuits in other VLANs, or without.
func appendFrame(b []byte, hop *nexthop.Hop, ip []byte) []byte {
	b = append(b, hop.Src[:]...)
	b = append(b, hop.Dst[:]...)
	for _, tag := range hop.Tags {
		b = binary.BigEndian.AppendUint16(b, tag.TPID)
		b = binary.BigEndian.AppendUint16(b, tag.TCI)
	}
	typ := uint16(l2tp.TypeIPv4)
	if ip[0]>>4 == 6 {
		typ = l2tp.TypeIPv6
	}
	return append(binary.BigEndian.AppendUint16(b, typ), ip...)
}

// sessionOf reads the session id of a data message, so that the packets of a session keep their order.
// Those with IPv4 options and those that are too short are none, as in the steering program.
func sessionOf(ip []byte) (sid uint32, ok bool) {
	at, proto := l2tp.IPv6Len, l2tp.IPv6(ip).NextHeader()
	if ip[0]>>4 == 4 {
		if l2tp.IPv4(ip).HeaderLen() != l2tp.IPv4Len {
			return 0, false
		}
		at, proto = l2tp.IPv4Len, l2tp.IPv4(ip).Protocol()
	}
	least := l2tp.SessionIDLen
	if proto == l2tp.ProtoUDP {
		at += l2tp.UDPLen + l2tp.FlagsLen
		least *= 2
	}
	if len(ip) < at+least {
		return 0, false
	}
	return l2tp.Data(ip[at:]).SessionID(), true
}

// comesBy tells whether packets that a port receives can come in by a device: the port's own, or a VLAN
// device, bond or the like over it.
func (w *wholes) comesBy(device, port int) bool {
	if time.Since(w.learnt) > devicesLast {
		clear(w.under)
		w.learnt = time.Now()
	}
	under, ok := w.under[device]
	if !ok {
		under = lowerDevices(device)
		w.under[device] = under
	}
	for _, u := range under {
		if u == port {
			return true
		}
	}
	return false
}

// lowerDevices walks down from a device to those that receive for it.
func lowerDevices(device int) (under []int) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil
	}
	byIndex := map[int]netlink.Link{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l
	}
	under = []int{device}
	for i := 0; i < len(under); i++ {
		l := byIndex[under[i]]
		if l == nil || len(under) > len(links) {
			continue
		}
		switch l.Type() {
		case "vlan", "macvlan", "macvtap", "ipvlan":
			under = append(under, l.Attrs().ParentIndex)
		case "bond", "vrf":
			for _, member := range links {
				if member.Attrs().MasterIndex == under[i] {
					under = append(under, member.Attrs().Index)
				}
			}
		}
	}
	return under
}
