package rings

// Frame is the place of one frame in the arena, and the two ports it concerns. It is an alias of
// an unnamed struct so that the package that rewrites frames can use the very same type without
// importing this one.
type Frame = struct {
	Addr uint64 // of the first byte, from the start of the memory
	Len  uint32 // bytes
	In   uint16 // the port that received it
	Out  uint16 // the port that is to send it, or NoPort: give the frame back to the pool
}

// NoPort as Frame.Out marks a frame that goes back to the pool.
const NoPort = ^uint16(0)

// Handler does the work between receiving and sending. A worker calls it from its own goroutine
// only, with at most one batch at a time. Every frame of in comes back in out exactly once, to be
// sent or to be given back, unless the handler holds it; a held frame comes back from a later
// call. The slices are valid during the call only.
type Handler interface {
	// Process takes a batch of frames that lie in mem and appends what becomes of them to out.
	// now is in nanoseconds of the monotonic clock.
	Process(mem []byte, in []Frame, now int64, out []Frame) []Frame
	// Expire gives up held frames whose time has come.
	Expire(mem []byte, now int64, out []Frame) []Frame
	// Deadline tells when Expire is next due, 0 for never.
	Deadline() int64
	// Held tells how many frames the handler holds now.
	Held() int
}
