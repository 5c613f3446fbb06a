package rings

// Mode says how frames pass between a driver and the arena.
type Mode uint8

const (
	ModeAuto     Mode = iota // zero-copy where the driver grants it, else copy
	ModeZeroCopy             // the device reads and writes the arena itself
	ModeCopy                 // the kernel copies between the driver's buffers and the arena
	ModeSKB                  // as copy, behind an XDP program attached in skb (generic) mode
)

// String gives the word the configuration uses.
func (m Mode) String() string {
	switch m {
	case ModeAuto:
		return "auto"
	case ModeZeroCopy:
		return "zerocopy"
	case ModeCopy:
		return "copy"
	case ModeSKB:
		return "skb"
	}
	return "unknown"
}
