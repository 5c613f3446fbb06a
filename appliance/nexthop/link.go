package nexthop

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// Attributes of link kinds that x/sys/unix does not name.
const (
	iflaVlanID         = 1
	iflaVlanProtocol   = 5
	iflaBondMode       = 1
	iflaBondActive     = 2
	iflaBondSlaveState = 1 // 0 active, 1 backup
	iflaBondSlaveMII   = 2 // 0 up
	iflaInfoSlaveKind  = 4
	iflaInfoSlaveData  = 5

	bondActiveBackup = 1
	bondBroadcast    = 3

	arphrdEther = 1

	// stackDepth bounds the walk from a route's device to its port, in case of a loop.
	stackDepth = 8
)

// link is what a next hop needs to know of one interface.
type link struct {
	index   int
	name    string
	kind    string // "vlan", "bond", "vrf", "macvlan", ...; empty for hardware
	arphrd  uint16
	flags   uint32
	mtu     int
	addr    l2tp.MAC
	bcast   l2tp.MAC
	parent  int // IFLA_LINK
	foreign bool
	master  int

	vlanID, vlanProto uint16
	bondMode          int
	bondActive        int // ifindex, active-backup only

	slaveKind  string
	slaveDown  bool // its bond says so
	slaveState int  // 0 active
}

func (l *link) up() bool { return l.flags&unix.IFF_UP != 0 && l.flags&unix.IFF_RUNNING != 0 }

// parseLink returns false for messages of other families (bridge ports) and for partial ones.
func parseLink(body []byte) (link, bool) {
	if len(body) < sizeofIfInfo || body[0] != unix.AF_UNSPEC {
		return link{}, false
	}
	l := link{arphrd: native.Uint16(body[2:]), index: int(native.Uint32(body[4:])), flags: native.Uint32(body[8:])}
	var data, slaveData []byte
	whole := false
	attrs(body[sizeofIfInfo:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.name = attrString(v)
		case unix.IFLA_MTU:
			l.mtu, whole = attrInt(v), true
		case unix.IFLA_ADDRESS:
			copy(l.addr[:], v)
		case unix.IFLA_BROADCAST:
			copy(l.bcast[:], v)
		case unix.IFLA_LINK:
			l.parent = attrInt(v)
		case unix.IFLA_LINK_NETNSID:
			l.foreign = true
		case unix.IFLA_MASTER:
			l.master = attrInt(v)
		case unix.IFLA_LINKINFO:
			attrs(v, func(typ uint16, v []byte) {
				switch typ {
				case unix.IFLA_INFO_KIND:
					l.kind = attrString(v)
				case unix.IFLA_INFO_DATA:
					data = v
				case iflaInfoSlaveKind:
					l.slaveKind = attrString(v)
				case iflaInfoSlaveData:
					slaveData = v
				}
			})
		}
	})
	switch l.kind {
	case "vlan":
		attrs(data, func(typ uint16, v []byte) {
			switch typ {
			case iflaVlanID:
				l.vlanID = uint16(attrInt(v))
			case iflaVlanProtocol:
				if len(v) >= 2 {
					l.vlanProto = binary.BigEndian.Uint16(v)
				}
			}
		})
	case "bond":
		attrs(data, func(typ uint16, v []byte) {
			switch typ {
			case iflaBondMode:
				l.bondMode = attrInt(v)
			case iflaBondActive:
				l.bondActive = attrInt(v)
			}
		})
	}
	if l.slaveKind == "bond" {
		attrs(slaveData, func(typ uint16, v []byte) {
			switch typ {
			case iflaBondSlaveState:
				l.slaveState = attrInt(v)
			case iflaBondSlaveMII:
				l.slaveDown = attrInt(v) != 0
			}
		})
	}
	return l, whole
}

// links is the link table with the ports marked.
type links struct {
	byIndex map[int]link
	ports   map[int]bool
}

func (t *links) vrf(name string) int {
	for i, l := range t.byIndex {
		if l.name == name && l.kind == "vrf" {
			return i
		}
	}
	return 0
}

func (t *links) name(index int) string {
	if l, ok := t.byIndex[index]; ok {
		return l.name
	}
	return fmt.Sprintf("interface %d", index)
}

// stack is the way from a route's device down to a port.
type stack struct {
	state  State // Resolved, LinkDown or NotAPort
	reason string
	port   int // of NotAPort: the one that would have to be a port, 0 if none would do
	mtu    int // the smallest on the way
	tags   []l2tp.Tag
	devs   []int // every interface it went through, and every one it depends on
}

// resolve walks down from the device of a route to peer. salt chooses among the members of a bond,
// so that tunnels spread over them and each stays where it is while its member lives.
func (t *links) resolve(dev int, peer netip.Addr, salt uint64) stack {
	s := stack{mtu: 1 << 16}
	top := t.name(dev)
	at := dev
	for range stackDepth {
		l, ok := t.byIndex[at]
		s.devs = append(s.devs, at)
		if !ok {
			s.state, s.reason = LinkDown, fmt.Sprintf("route to %v leaves by %s, which is gone", peer, t.name(at))
			return s
		}
		s.mtu = min(s.mtu, l.mtu)
		if !l.up() { // a device falls with the one under it: the lowest is the one to name
			s.state, s.reason = LinkDown, l.name+" has no carrier"
			if l.flags&unix.IFF_UP == 0 {
				s.reason = l.name + " is down"
			}
			if at != dev {
				s.reason += " (it is under " + top + ")"
			}
		}
		if t.ports[at] {
			s.port = at
			return s
		}
		if l.foreign && l.kind != "veth" { // that of a veth is its other end
			return s.noPort(peer, top, fmt.Sprintf("the device under %s is in another network namespace", l.name))
		}
		switch l.kind {
		case "vlan":
			s.tags = append([]l2tp.Tag{{TPID: l.vlanProto, TCI: l.vlanID}}, s.tags...)
			at = l.parent
		case "macvlan", "macvtap", "ipvlan":
			at = l.parent
		case "bond":
			member, why, devs := t.member(l, salt)
			s.devs = append(s.devs, devs...)
			if member == 0 {
				s.port = at
				return s.noPort(peer, top, why)
			}
			at = member
		default:
			s.port = at
			return s.noPort(peer, top, "")
		}
	}
	return s.noPort(peer, top, "devices are stacked too deep")
}

func (s stack) noPort(peer netip.Addr, top, why string) stack {
	if s.state == LinkDown && why == "" {
		return s
	}
	s.state, s.reason = NotAPort, fmt.Sprintf("route to %v leaves by %s, which is no port", peer, top)
	if why != "" {
		s.reason += " (" + why + ")"
	}
	return s
}

// member picks the slave of a bond that sends: the active one in active-backup mode; else, of the
// slaves that the bond uses and that are ports, the one with the highest rendezvous hash.
func (t *links) member(bond link, salt uint64) (index int, why string, devs []int) {
	var best uint64
	up := 0
	for i, l := range t.byIndex {
		if l.master != bond.index || l.slaveKind != "bond" {
			continue
		}
		devs = append(devs, i)
		if !l.up() || l.slaveDown {
			continue
		}
		if bond.bondMode == bondActiveBackup && bond.bondActive != i {
			continue
		}
		if bond.bondMode != bondActiveBackup && bond.bondMode != bondBroadcast && l.slaveState != 0 {
			continue // a port of another aggregator
		}
		up++
		if !t.ports[i] {
			continue
		}
		if h := mix(salt ^ uint64(i)*0x9e3779b97f4a7c15); index == 0 || h > best {
			index, best = i, h
		}
	}
	switch {
	case index != 0:
		return index, "", devs
	case up == 0:
		return 0, bond.name + " has no active slave", devs
	}
	return 0, "no active slave of " + bond.name + " is a port", devs
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// salt of a key: any stable number of its two addresses.
func salt(k Key) uint64 {
	p, l := k.Peer.As16(), k.Local.As16()
	x := binary.BigEndian.Uint64(p[:8])
	for _, v := range []uint64{binary.BigEndian.Uint64(p[8:]), binary.BigEndian.Uint64(l[:8]), binary.BigEndian.Uint64(l[8:])} {
		x = mix(x) ^ v
	}
	return x
}
