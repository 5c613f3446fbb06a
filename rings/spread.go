package rings

// Spreader is a Handler that can tell which frames must stay together. The worker that receives on
// a port with Spread asks it, once a batch, who is to process each frame, and hands the others
// theirs before any is processed.
type Spreader interface {
	Handler
	// Spread sets to[i], for each frame of in, to a worker below workers or to Stay. Frames whose
	// order matters among themselves must get the same answer from every worker's handler. It is
	// called from the worker's goroutine, outside Process, and changes no frame.
	Spread(mem []byte, in []Frame, workers int, to []uint8)
}

// Keeper is a Spreader that has state for some frames, which one worker must have for itself. All
// ports ask it, whatever their Spread is, while Keeps answers true.
type Keeper interface {
	Spreader
	Keeps() bool
	// Keep is Spread, but leaves all other frames with the worker that received them.
	Keep(mem []byte, in []Frame, workers int, to []uint8)
}

// Stay, or any number that is no worker's, leaves a frame with the worker that received it.
const Stay = ^uint8(0)

// spread tells whether a port with this configuration has frames handed to other workers than
// those that receive them: not where every worker has a queue of its own, and the card has spread
// the frames already.
func (c *PortConfig) spread(workers int) bool { return c.Spread && len(c.Queues) < workers }

// hand passes frames on to the workers that are to process them, and returns those of our own, in the
// same memory. all: every frame that the handler understands may go to another worker, else only those
// that must. What is handed over keeps Out at NoPort: the taker processes it.
func (w *worker) hand(in []Frame, all bool) []Frame {
	to := w.to[:len(in)]
	switch {
	case len(w.outboxes) == 1:
		return in
	case all && w.spreader != nil:
		w.spreader.Spread(w.memory, in, len(w.outboxes), to)
	case w.keeper != nil && w.keeper.Keeps():
		w.keeper.Keep(w.memory, in, len(w.outboxes), to)
	default:
		return in
	}
	kept := in[:0]
	for i, f := range in {
		n := int(to[i])
		if n >= len(w.outboxes) || n == w.index {
			kept = append(kept, f)
			continue
		}
		w.give(w.account(f.In), w.outboxes[n], w.fabric.workers[n], f)
	}
	return kept
}
