package stream

import (
	"encoding/binary"
	"hash/crc32"

	"golang.org/x/sys/unix"
)

const (
	stampLen = 36
	magic    = 0x78773162 // "xw1b"
	endMark  = 1 << 63
	crcAt    = 32
	maxInner = 1600
)

// stamp is what a frame says of itself.
type stamp struct {
	run     uint32
	session uint32 // index in the plan
	flow    uint16
	size    uint16 // of stamp and filling: tags may come and go under way
	number  uint64
	time    int64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// put writes the stamp; b is the inner frame from its stamp on, filled behind it.
func (s *stamp) put(b []byte) {
	binary.BigEndian.PutUint32(b, magic)
	binary.BigEndian.PutUint32(b[4:], s.run)
	binary.BigEndian.PutUint32(b[8:], s.session)
	binary.BigEndian.PutUint16(b[12:], s.flow)
	binary.BigEndian.PutUint16(b[14:], s.size)
	binary.BigEndian.PutUint64(b[16:], s.number)
	binary.BigEndian.PutUint64(b[24:], uint64(s.time))
	binary.BigEndian.PutUint32(b[crcAt:], sum(b))
}

func sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:crcAt], castagnoli), castagnoli, b[stampLen:])
}

// verdict is what became of a frame's bytes.
type verdict uint8

const (
	foreign verdict = iota // no frame of a stream
	corrupt                // of a stream, but not as it was sent
	whole
)

// get reads a stamp; b is everything behind the inner EtherType, padding perhaps included.
func (s *stamp) get(b []byte) verdict {
	if len(b) < stampLen || binary.BigEndian.Uint32(b) != magic {
		return foreign
	}
	s.run = binary.BigEndian.Uint32(b[4:])
	s.session = binary.BigEndian.Uint32(b[8:])
	s.flow = binary.BigEndian.Uint16(b[12:])
	s.size = binary.BigEndian.Uint16(b[14:])
	s.number = binary.BigEndian.Uint64(b[16:])
	s.time = int64(binary.BigEndian.Uint64(b[24:]))
	if n := int(s.size); n < stampLen || n > len(b) || binary.BigEndian.Uint32(b[crcAt:]) != sum(b[:n]) {
		return corrupt
	}
	return whole
}

// filling is the same in every frame: the CRC covers it.
var filling = func() (f [maxInner]byte) {
	x := uint32(1)
	for i := range f {
		x = x*1664525 + 1013904223
		f[i] = byte(x >> 24)
	}
	return f
}()

// now is CLOCK_MONOTONIC in nanoseconds, the same for all processes of a machine.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
