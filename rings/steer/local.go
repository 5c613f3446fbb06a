package steer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Encapsulations of a tunnel, numbered as L2TP_ENCAP_TYPE of linux/l2tp.h.
const (
	EncapUDP uint8 = uint8(steerEncapENCAP_UDP)
	EncapIP  uint8 = uint8(steerEncapENCAP_IP)
)

// Local is an address at which tunnels of ours end.
type Local struct {
	Addr  netip.Addr
	Encap uint8  // EncapUDP or EncapIP
	Port  uint16 // UDP port; of no meaning with EncapIP

	// Shared leaves data messages of sessions that were not added (AddSession) to the kernel, for
	// all tunnels at the address. Without it all data messages to the address are ours.
	Shared bool

	// Peer is where the tunnel's packets come from. If it is valid, and the address not shared, outer
	// fragments from there that come before the first of their packet are ours; else they are the kernel's.
	Peer netip.Addr
}

func (l Local) String() string {
	if l.Encap == EncapUDP {
		return "UDP " + netip.AddrPortFrom(l.Addr, l.Port).String()
	}
	return l.Addr.String()
}

// keys gives the two entries an address needs: the one that data messages match, and the address
// alone, by which fragments are told from those of other traffic.
func (l Local) keys() ([2]steerLocal, error) {
	var k steerLocal
	addr := l.Addr.Unmap()
	switch {
	case !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast():
		return [2]steerLocal{}, fmt.Errorf("use local address %v: a tunnel needs one unicast address", l.Addr)
	case addr.Is4():
		k.Family = 4
	default:
		k.Family = 6
	}
	copy(k.Addr[:], addr.AsSlice())

	whole := k
	whole.Encap = steerEncapENCAP_ANY
	switch l.Encap {
	case EncapIP:
		k.Encap = steerEncapENCAP_IP
	case EncapUDP:
		if l.Port == 0 {
			return [2]steerLocal{}, fmt.Errorf("use local address %v: UDP needs a port", l.Addr)
		}
		k.Encap = steerEncapENCAP_UDP
		k.Port = networkOrder(l.Port)
	default:
		return [2]steerLocal{}, fmt.Errorf("use local address %v: no encapsulation has the number %d", l.Addr, l.Encap)
	}
	return [2]steerLocal{k, whole}, nil
}

// pair is the entry for the two addresses of a tunnel; ok is false where there is none.
func (l Local) pair() (k sessionKey, ok bool) {
	keys, err := l.keys()
	peer := l.Peer.Unmap()
	if err != nil || l.Shared || !peer.IsValid() || peer.Is4() != l.Addr.Unmap().Is4() {
		return k, false
	}
	k.To = keys[0]
	k.To.Port = 0
	copy(k.Peer[:], peer.AsSlice())
	return k, true
}

// networkOrder gives the value whose bytes in memory are those of v on the wire.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
