package l2tp

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit big-endian words of b to initial in ones' complement (RFC 1071) and returns
// the folded sum; a checksum field is its complement. A last odd byte counts as the high half of
// a word, so every part of a sum but the last must be of even length.
//
// The words are added eight bytes at a time in little-endian order and the result is swapped:
// ones' complement addition does not mind the byte order.
func Sum(initial uint16, b []byte) uint16 {
	var s, c uint64
	s = uint64(bits.ReverseBytes16(initial))
	for len(b) >= 64 {
		p := (*[64]byte)(b)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[0:8]), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[8:16]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[16:24]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[24:32]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[32:40]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[40:48]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[48:56]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[56:64]), c)
		s, c = bits.Add64(s, 0, c)
		s += c
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		rest += uint64(b[0])
	}
	s, c = bits.Add64(s, rest, 0)
	s += c
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return bits.ReverseBytes16(uint16(s))
}

// PseudoSum returns the sum of the pseudo header of UDP (RFC 768, RFC 8200 section 8.1) without
// the length, which is to be added by AddSum. Both addresses are of 4 or of 16 bytes.
func PseudoSum(src, dst []byte, protocol byte) uint16 {
	return AddSum(Sum(Sum(0, src), dst), uint16(protocol))
}

// AddSum adds two folded sums.
func AddSum(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s + s>>16)
}
