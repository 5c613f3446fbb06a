package rings

// Watcher is a Handler that wants to know of frames that it gave out and that were not sent, or that
// were to be another worker's and did not get there.
type Watcher interface {
	Handler
	// Unsent is told of a frame before it goes back to the pool. It is called from the worker's
	// goroutine, outside Process, and changes no frame. The frame may be longer than its chunk where
	// why says so.
	Unsent(mem []byte, f Frame, why Drop)
}
