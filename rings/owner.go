package rings

// owner says who has a frame. There is one entry for each chunk of the arena, written by whoever
// has the frame when it passes it on; the atomic operations that pass frames on order the writes.
// Only the audit and the scan for a closed queue's frames read entries of others, while the
// workers stand still.
type owner uint16

const (
	ownerPool   owner = iota // free: in the depot, a worker's cache or the fabric's own
	ownerHeld                // with the handler, or in the hands of the worker that feeds it
	ownerInbox               // on its way to another worker
	ownerKept                // in quarantine
	ownerSpare               // with a Maker, free
	ownerGather              // of a span: a frame is being put together in it
	ownerTail                // of a span's other chunks, and of its first while only these are sent
	ownerQueue               // the first of two for each queue
)

// maxQueues is the number of queues that can be told apart.
const maxQueues = (1<<16 - int(ownerQueue)) / 2

// ownerFill is the kernel's receiving side of a queue: fill ring, driver, RX ring.
func ownerFill(slot uint16) owner { return ownerQueue + owner(slot)*2 }

// ownerTX is the kernel's sending side of a queue: TX ring, driver, completion ring.
func ownerTX(slot uint16) owner { return ownerQueue + owner(slot)*2 + 1 }
