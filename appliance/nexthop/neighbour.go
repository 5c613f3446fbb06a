package nexthop

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// originator marks the neighbour entries that we manage (NDA_PROTOCOL), so that the next process
// knows them after a crash. It is of the range that the kernel leaves to routing daemons.
const originator = 115

const (
	nudValid  = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY
	nudStatic = unix.NUD_PERMANENT | unix.NUD_NOARP

	// retryAfter is how long a neighbour that did not answer is left alone. The kernel itself
	// asks three times, a second apart, before it gives up.
	retryAfter = 900 * time.Millisecond
	// confirmAfter is how often a stale neighbour is asked again where the kernel does not do it.
	confirmAfter = 5 * time.Second
	// retryLimit bounds the requests of one round for neighbours that do not answer.
	retryLimit = 500
)

// neighKey is an address on a device. The address has no zone.
type neighKey struct {
	dev  int
	addr netip.Addr
}

// neighbour is an entry of the kernel's table.
type neighbour struct {
	state uint16
	flags uint8
	ext   uint32
	proto uint8
	mac   l2tp.MAC
	hasLL bool
}

func (n neighbour) valid() bool   { return n.state&nudValid != 0 && n.hasLL }
func (n neighbour) managed() bool { return n.ext&ntfExtManaged != 0 }

// hands off: somebody set it by hand, or a daemon learnt it elsewhere.
func (n neighbour) fixed() bool {
	return n.state&nudStatic != 0 || n.flags&unix.NTF_EXT_LEARNED != 0
}

func parseNeighbour(body []byte) (neighKey, neighbour, bool) {
	if len(body) < sizeofNdMsg || body[0] != unix.AF_INET && body[0] != unix.AF_INET6 {
		return neighKey{}, neighbour{}, false
	}
	k := neighKey{dev: int(native.Uint32(body[4:]))}
	n := neighbour{state: native.Uint16(body[8:]), flags: body[10]}
	if n.flags&unix.NTF_PROXY != 0 {
		return neighKey{}, neighbour{}, false
	}
	attrs(body[sizeofNdMsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.NDA_DST:
			k.addr = attrAddr(v)
		case unix.NDA_LLADDR:
			n.hasLL = len(v) == len(n.mac)
			copy(n.mac[:], v)
		case ndaProtocol:
			n.proto = uint8(attrInt(v))
		case ndaFlagsExt:
			n.ext = uint32(attrInt(v))
		}
	})
	return k, n, k.addr.IsValid()
}

// want is a neighbour that at least one key needs.
type want struct {
	keys  map[*entry]struct{}
	ours  bool      // we made it managed
	asked time.Time // last request to the kernel
}

// errand is one request about a neighbour.
type errand struct {
	key    neighKey
	manage bool // else: let go
	exists bool // in the table as we know it
	drop   bool // delete it: nobody ever answered
	theirs bool // somebody else manages it: ask without making it ours
	use    bool // NTF_USE instead of managed, on kernels that know no managed entries
}

// appendTo writes the body of RTM_NEWNEIGH or RTM_DELNEIGH.
func (e errand) appendTo(b []byte) []byte {
	nd := make([]byte, sizeofNdMsg)
	nd[0] = family(e.key.addr)
	native.PutUint32(nd[4:], uint32(e.key.dev))
	if e.use || !e.manage && !e.drop {
		nd[10] = unix.NTF_USE // an update without the managed flag takes it away
	}
	b = append(b, nd...)
	b = attr(b, unix.NDA_DST, e.key.addr.AsSlice())
	if e.manage {
		if !e.use && !e.theirs {
			b = attr(b, ndaProtocol, []byte{originator})
		}
		if !e.use {
			b = attrUint32(b, ndaFlagsExt, ntfExtManaged)
		}
	}
	return b
}

func (e errand) request() (typ, flags uint16) {
	switch {
	case e.drop:
		return unix.RTM_DELNEIGH, unix.NLM_F_ACK
	case e.manage && !e.exists:
		// EXCL: an entry that somebody made since we looked, perhaps a permanent one, stays.
		return unix.RTM_NEWNEIGH, unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	return unix.RTM_NEWNEIGH, unix.NLM_F_ACK
}
