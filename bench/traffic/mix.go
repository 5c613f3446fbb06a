package traffic

import (
	"fmt"
	"strconv"
)

// FCS is the bytes at a frame's end that sizes count and frames in memory do not have.
const FCS = 4

// Smallest and largest size of an untagged Ethernet frame with its FCS.
const (
	MinSize = 64
	MaxSize = 1518
)

// Mix is sizes of frames in turn, with FCS.
type Mix []int

// IMIX is the simple internet mix: seven of 64 bytes, four of 570, one of 1518, well stirred.
var IMIX = Mix{64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 64, 570}

// ParseMix reads a size in bytes or "imix".
func ParseMix(s string) (Mix, error) {
	if s == "imix" {
		return IMIX, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < MinSize || n > MaxSize {
		return nil, fmt.Errorf("size %q: not from %d to %d, nor imix", s, MinSize, MaxSize)
	}
	return Mix{n}, nil
}

// String is what ParseMix reads.
func (m Mix) String() string {
	if len(m) == 1 {
		return strconv.Itoa(m[0])
	}
	return "imix"
}

// Mean is the mean size in bytes.
func (m Mix) Mean() float64 {
	sum := 0
	for _, n := range m {
		sum += n
	}
	return float64(sum) / float64(max(len(m), 1))
}
