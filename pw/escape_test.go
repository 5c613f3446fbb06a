package pw

import (
	"bytes"
	"encoding/binary"
	"testing"

	"xwire/l2tp"
)

// hostile is a box with one tunnel over IPv4 from core port 0, and sessions at port 1.
type hostile struct {
	*rig
	tunnel TunnelID
}

func newHostile(t *testing.T) *hostile {
	table := NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}})
	id := must(table.AddTunnel(TunnelSpec{Encap: l2tp.EncapIP, Local: addrPort("192.0.2.1"), Peer: addrPort("198.51.100.1")}))(t)
	table.SetTunnelNextHop(id, hop)
	return &hostile{newRig(t, table), id}
}

func (h *hostile) session(sid uint32, ac Attachment) SessionID {
	return must(h.table.AddSession(SessionSpec{Tunnel: h.tunnel, SID: sid, PSID: sid, Type: l2tp.PWEth, AC: ac}))(h.t)
}

// packet is what the peer sends: inner within the IP length, rest behind it.
func (h *hostile) packet(sid uint32, inner, rest []byte) []byte {
	n := uint16(24 + len(inner))
	ip := join([]byte{0x45, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 64, 115, 0, 0}, []byte{198, 51, 100, 1}, []byte{192, 0, 2, 1})
	l2tp.IPv4(ip).SetChecksum()
	return join([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, ip, binary.BigEndian.AppendUint32(nil, sid), inner, rest)
}

// customer is a frame with tags, with typ behind them.
func customer(typ uint16, tags ...[]byte) []byte {
	return join([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8}, join(tags...), []byte{byte(typ >> 8), byte(typ)}, bytes.Repeat([]byte{0x77}, 80))
}

// Whatever comes out of the pseudowire of an untagged attachment circuit is untagged: a tag that is
// left would lead into the VLAN of somebody else.
func TestUntaggedCircuitGetsNoTag(t *testing.T) {
	vid := tag(0x8100, 300)
	for _, tt := range []struct {
		name  string
		pw    PWTags
		outer []byte // what such a pseudowire has before the customer's tags
	}{
		{"keep", PWTags{Kind: PWKeep}, nil},
		{"none", PWTags{Kind: PWNone}, nil},
		{"vid", PWTags{Kind: PWVID, VID: 300}, vid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHostile(t)
			h.session(1, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANUntagged}, PW: tt.pw})
			h.session(2, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: 100}})
			good := h.packet(1, customer(0x0800, tt.outer), nil)
			priority := h.packet(1, customer(0x0800, tt.outer, tag(0x8100, 0xe000)), nil)
			bad := h.packet(1, customer(0x0800, tt.outer, tag(0x8100, 100)), nil)
			for i, p := range [][]byte{bad, good, good, bad, good, priority, priority, bad} {
				out, got := h.one(0, p)
				if same := bytes.Equal(p, bad); same && out != NoPort {
					t.Errorf("packet %d left port %d as %x", i, out, got[:18])
				} else if !same && out != 1 {
					t.Errorf("packet %d: %v", i, dropsAt(h.table, 0))
				}
			}
		})
	}
}

// What lies behind the end of the IP packet is nobody's word on anything.
func TestBytesBehindThePacketAreNoTags(t *testing.T) {
	plain := customer(0x0800)
	cut := plain[:12:12]
	pad := make([]byte, 60)
	for _, tt := range []struct {
		name string
		vlan VLANMatch
		good []byte // to have a session before
		lure []byte // ends in the middle of tags, which go on in rest
		rest []byte
		then []byte // must not be delivered
	}{
		{"untagged", VLANMatch{Kind: VLANUntagged}, plain, join(cut, []byte{0x81, 0}), join([]byte{0, 100, 8, 0}, pad), customer(0x0800, tag(0x8100, 100))},
		{"untagged, half a tag", VLANMatch{Kind: VLANUntagged}, plain, join(cut, []byte{0x81, 0, 0, 100}), join([]byte{8, 0}, pad), customer(0x0800, tag(0x8100, 100))},
		{"single", VLANMatch{Kind: VLANSingle, Lo: 7}, customer(0x0800, tag(0x8100, 7)), join(cut, []byte{0x81, 0}), join([]byte{0, 7, 8, 0}, pad), nil},
		{"range", VLANMatch{Kind: VLANRange, Lo: 7, Hi: 9}, customer(0x0800, tag(0x8100, 7)), join(cut, []byte{0x81, 0, 0, 8}), join([]byte{8, 0}, pad), nil},
		{"QinQ", VLANMatch{Kind: VLANQinQ, Lo: 7, C: 8}, customer(0x0800, tag(0x88a8, 7), tag(0x8100, 8)), join(cut, tag(0x88a8, 7), []byte{0x81, 0}), join([]byte{0, 8, 8, 0}, pad), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHostile(t)
			h.session(1, Attachment{Port: 1, VLAN: tt.vlan})
			lure := h.packet(1, tt.lure, tt.rest)
			if tt.then == nil {
				// In the middle of a batch, of sessions that change.
				h.session(2, Attachment{Port: 2})
				batch := [][]byte{h.packet(2, plain, nil), lure, h.packet(2, plain, nil)}
				var in []Frame
				for i, p := range batch {
					in = append(in, h.put(i, 0, 256, p))
				}
				if out := h.table.Forwarder(0).Process(h.mem, in, 1, h.out[:0]); out[1].Out != NoPort {
					t.Errorf("delivered to port %d as %x", out[1].Out, h.bytes(out[1]))
				}
				return
			}
			for range 2 {
				if out, _ := h.one(0, h.packet(1, tt.good, nil)); out != 1 {
					t.Fatalf("good packet: %v", dropsAt(h.table, 0))
				}
			}
			// Once the session's packets make no row any more, the lure is learnt from.
			h.one(0, lure)
			h.one(0, lure)
			if out, got := h.one(0, h.packet(1, tt.then, nil)); out != NoPort {
				t.Errorf("left port %d as %x", out, got[:18])
			}
		})
	}
}
