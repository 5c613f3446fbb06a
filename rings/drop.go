package rings

// Drop is a reason for which a frame was not handed to a TX ring. Drops of the handler are its own
// to count.
type Drop uint8

// The reasons found here, and the two of the kernel that concern frames for us.
const (
	DropTxRingFull Drop = iota
	DropTxPortDown
	DropTxNoPort
	DropInboxFull
	DropFrameTooLong
	DropNoSpan
	NumDrops

	dropRxDropped  = "rx_dropped"
	dropRxRingFull = "rx_ring_full"
)

// String is the counter's name.
func (d Drop) String() string {
	switch d {
	case DropTxRingFull:
		return "tx_ring_full"
	case DropTxPortDown:
		return "tx_port_down"
	case DropTxNoPort:
		return "tx_no_port"
	case DropInboxFull:
		return "inbox_full"
	case DropFrameTooLong:
		return "frame_too_long"
	case DropNoSpan:
		return "jumbo_room"
	}
	return "unknown"
}

// Help says in a sentence what the counter means.
func (d Drop) Help() string {
	switch d {
	case DropTxRingFull:
		return "The output port does not send as fast as frames come for it."
	case DropTxPortDown:
		return "The output port is down, gone, or refuses to send."
	case DropTxNoPort:
		return "There is no such output port (any more)."
	case DropInboxFull:
		return "The worker that owns the output queue, or that is to process the frame, does not keep up."
	case DropFrameTooLong:
		return "The frame does not fit its chunk of the arena, the output port takes no jumbo frames, or the frame has no length."
	case DropNoSpan:
		return "There was no memory left for a received frame that is longer than a chunk."
	}
	return ""
}

// KernelDrops names the drop reasons that come from the kernel's XDP statistics, with a sentence
// for each.
func KernelDrops() map[string]string {
	return map[string]string{
		dropRxDropped:  "The kernel had no empty frame for it, or it was longer than max_frame of the port.",
		dropRxRingFull: "The worker did not take frames from the RX ring fast enough.",
	}
}
