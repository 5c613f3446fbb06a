package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// nextHop is one state of a next hop, immutable as a session is: 32 bytes. Which state is the
// present one is a word of its own, so a neighbour that changes its MAC is one store.
type nextHop struct {
	hdr  [24]byte // right-aligned: destination, source, tags
	port uint16
	len  uint8
	_    uint8
	mtu  uint32 // bytes, largest outer IP packet
}

const maxMTU = 65535

func (h *nextHop) describe(spec *NextHop) {
	*h = nextHop{port: spec.Port, mtu: maxMTU}
	if spec.MTU > 0 && spec.MTU < maxMTU {
		h.mtu = uint32(spec.MTU)
	}
	tags := spec.Tags[:min(len(spec.Tags), 2)]
	h.len = uint8(12 + l2tp.TagLen*len(tags))
	b := h.hdr[len(h.hdr)-int(h.len):]
	copy(b[0:], spec.Dst[:])
	copy(b[6:], spec.Src[:])
	for i, tag := range tags {
		binary.BigEndian.PutUint16(b[12+4*i:], tag.TPID)
		binary.BigEndian.PutUint16(b[14+4*i:], tag.TCI)
	}
}

// spec is the way back.
func (h *nextHop) spec() NextHop {
	s := NextHop{Port: h.port, MTU: int(h.mtu)}
	if h.mtu == maxMTU {
		s.MTU = 0
	}
	b := h.hdr[len(h.hdr)-int(h.len):]
	copy(s.Dst[:], b[0:])
	copy(s.Src[:], b[6:])
	for i := 12; i < len(b); i += l2tp.TagLen {
		s.Tags = append(s.Tags, l2tp.Tag{TPID: binary.BigEndian.Uint16(b[i:]), TCI: binary.BigEndian.Uint16(b[i+2:])})
	}
	return s
}
