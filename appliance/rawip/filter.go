package rawip

import (
	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// Instructions of classic BPF.
const (
	loadLength = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH // X = 4*(b[k]&15): the IPv4 header's length
	loadX      = unix.BPF_LDX | unix.BPF_IMM
	loadWord   = unix.BPF_LD | unix.BPF_W | unix.BPF_IND // A = b[X+k]
	loadHalf   = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
	and        = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	ifEqual    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	ifAny      = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	accept     = unix.BPF_RET | unix.BPF_K
)

// DataMessages lets L2TPv3 data messages pass, by the first word over IP (session id not 0) or the
// first half of it over UDP (T bit clear, version 3): RFC 3931 section 4.1.
func DataMessages(ip6 bool, proto byte) []unix.SockFilter {
	begin := unix.SockFilter{Code: loadLength}
	if ip6 {
		begin = unix.SockFilter{Code: loadX}
	}
	if proto == l2tp.ProtoL2TP {
		return []unix.SockFilter{
			begin,
			{Code: loadWord},
			{Code: ifEqual, K: 0, Jt: 1},
			{Code: accept, K: 1 << 17},
			{Code: accept},
		}
	}
	return []unix.SockFilter{
		begin,
		{Code: loadHalf, K: l2tp.UDPLen},
		{Code: ifAny, K: 0x8000, Jt: 3},
		{Code: and, K: 0xf},
		{Code: ifEqual, K: 3, Jf: 1},
		{Code: accept, K: 1 << 17},
		{Code: accept},
	}
}
