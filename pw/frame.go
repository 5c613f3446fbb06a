package pw

// Frame is the place of one frame in the memory shared by all ports, and the two ports it concerns.
// It is an alias of an unnamed struct so that rings.Frame is the very same type: pw and rings
// exchange batches without knowing each other.
type Frame = struct {
	Addr uint64 // of the first byte, from the start of the memory
	Len  uint32 // bytes
	In   uint16 // the port that received it
	Out  uint16 // the port that is to send it, or NoPort: give the frame back to the pool
}

// NoPort as Frame.Out marks a frame that goes back to the pool.
const NoPort = ^uint16(0)
