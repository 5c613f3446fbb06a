package rings

const (
	defaultHeld = 1024
	// injectedFrames is how many frames Inject may leave with one worker.
	injectedFrames = 64
	// heldSpans is how many spans a worker's handler may put frames together in without others' want.
	heldSpans = 256
	// deepest is the most entries of a deep ring, and deepFrames how many frames all of them may hold.
	deepest    = 16384
	deepFrames = 32768
)

// defaultInbox keeps what can lie in front of one worker to about 2048 frames.
func defaultInbox(workers int) int {
	size := 2048
	for ; size > 64 && size*workers > 2048; size /= 2 {
	}
	return size
}

// Sizing computes how many frames an arena needs so that no port and no worker ever waits for a
// frame that another ties up. Zero fields mean the defaults of FabricConfig and PortConfig.
type Sizing struct {
	Workers int
	Batch   int
	Inbox   int
	Held    int
	Queues  []uint32 // the ring size of each queue of each port
	Deep    int      // frames that the deep rings of all ports take beyond that
	Jumbo   int      // how many of these are of ports with Jumbo
}

// Chunks is the number of frames.
func (s Sizing) Chunks() int {
	workers := max(s.Workers, 1)
	if s.Batch == 0 {
		s.Batch = 64
	}
	if s.Inbox == 0 {
		s.Inbox = defaultInbox(workers)
	}
	if s.Held == 0 {
		s.Held = defaultHeld
	}
	// Each worker may have a full cache and a batch in hand, and so may the control side.
	n := (workers + 1) * (cacheSize + s.Batch)
	spare := spareBatches * s.Batch
	if s.Jumbo > 0 {
		spare = jumboSpareBatches * s.Batch
	}
	n += workers * (s.Held + injectedFrames + spare)
	n += workers * (workers - 1) * s.Inbox
	n += s.Deep
	for _, size := range s.Queues {
		if size == 0 {
			size = defaultRingSize
		}
		n += 2 * int(size)
	}
	return n
}

// Spans is the number of spans for jumbo frames: a TX ring's worth of each queue that sends them, as long as
// they are of two descriptors or more, besides what workers have in hand and handlers put together. Where more are held or under way,
// further ones are dropped and counted; other frames never wait for a span.
func (s Sizing) Spans() int {
	if s.Jumbo == 0 {
		return 0
	}
	workers := max(s.Workers, 1)
	return (workers+1)*cacheSize + workers*(spareSpans+heldSpans) + s.Jumbo*defaultRingSize/2
}

// DeepRing is the size of deep rings for a fabric with so many queues in all, and how many frames each takes
// beyond the usual: together no more than deepFrames, so the memory does not grow with the queues.
func DeepRing(queues int) (size uint32, beyond int) {
	size = deepest
	for size > defaultRingSize && (int(size)-defaultRingSize)*queues > deepFrames {
		size /= 2
	}
	return size, int(size) - defaultRingSize
}
