// Package rings moves frames between network interfaces through AF_XDP sockets without copying
// them. It knows no protocol: a [Handler] decides where a frame goes.
//
// # Rings
//
// An AF_XDP socket shares memory (the UMEM, here an [Arena]) with the kernel, and up to four
// rings of descriptors that point into it:
//
//   - fill: we give the kernel empty frames to receive into,
//   - RX: the kernel gives them back with a frame in them,
//   - TX: we give the kernel frames to send,
//   - completion: the kernel gives them back when they are sent.
//
// Fill and completion belong to a queue of an interface, RX and TX to a socket that stands on it.
// All queues of all ports share one arena, so a frame received on one port is sent on another
// from the very same address: RX of one socket, TX of another, completion there, and into the
// fill ring of whichever queue next needs a frame.
//
// # Who owns what
//
// A [Fabric] has one arena, a fixed number of workers, and ports that come and go. A worker is one
// goroutine locked to one OS thread; each queue and each socket has exactly one owning worker, which
// alone touches its rings. Control operations change a worker's sockets only between its rounds.
// A frame is owned by exactly one of: pool, worker, handler (held), hand-over inbox, or the kernel
// on the receiving or on the sending side of one queue. The owner table says which; [Fabric.Audit]
// proves it, and frames of a closed queue are found by scanning it. The kernel's side never holds
// more frames than a ring has entries, so that neither the RX nor the completion ring overflows
// and no port can drain the pool.
//
// # Few queues, many workers
//
// A network card spreads frames over its queues by their outer addresses, so a tunnel's all come by
// one. On a port with PortConfig.Spread and fewer queues than workers, the queue's worker asks its
// handler, a [Spreader], who is to process each frame, and puts the descriptors into the others'
// inboxes; what they have processed leaves as ever, by a socket of their own or by another hand-over.
// Fill and completion rings stay with their one owner.
//
// # Frames longer than a chunk
//
// On a port with PortConfig.Jumbo the kernel gives such a frame in several chunks. The worker copies it
// into a span, consecutive chunks that the arena has for that, so that the handler finds it in one
// piece with room before it as it finds all others; it is sent from there, one descriptor a chunk.
// Ports without Jumbo, and frames that fit a chunk, know nothing of spans.
//
// # The lifetime rule that bites
//
// A socket closed is not a queue released: a zero-copy driver may write into its frames until the
// kernel has torn the pool down. [Fabric.RemovePort] waits for that before a frame is used again.
package rings
