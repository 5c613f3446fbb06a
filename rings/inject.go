package rings

import (
	"errors"
	"fmt"
)

// ErrBusy says that a worker has as many injected frames before it as it takes, or that there is
// no free frame.
var ErrBusy = errors.New("no room for another frame")

// headroom is left in front of injected frames, as the kernel leaves it in front of received ones.
const headroom = 256

// Inject has a worker treat data as a frame. With out NoPort the handler processes it as if it had
// been received on port in; otherwise it is sent out of port out as it is. Any goroutine may call
// it.
func (f *Fabric) Inject(worker int, data []byte, in, out uint16) error {
	if worker < 0 || worker >= len(f.workers) {
		return fmt.Errorf("inject frame: no worker %d", worker)
	}
	if len(data) == 0 || len(data) > f.arena.chunk-headroom {
		return fmt.Errorf("inject frame: %d bytes is outside 1..%d", len(data), f.arena.chunk-headroom)
	}
	w := f.workers[worker]
	f.mu.Lock()
	defer f.mu.Unlock()
	frame, ok := f.spare.get()
	if !ok {
		return fmt.Errorf("inject frame: %w", ErrBusy)
	}
	addr := uint64(frame)<<f.arena.shift + headroom
	copy(f.arena.mem[addr:], data)
	f.owners[frame] = ownerInbox
	if !w.injected.put(Frame{Addr: addr, Len: uint32(len(data)), In: in, Out: out}) {
		f.owners[frame] = ownerPool
		f.spare.put(frame)
		return fmt.Errorf("inject frame: %w", ErrBusy)
	}
	w.injected.publish()
	w.wake()
	return nil
}
