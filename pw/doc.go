// Package pw forwards frames between attachment circuits and L2TPv3 pseudowires. It knows no NIC,
// no operating system and no configuration file: frames lie in a memory that somebody else owns,
// and leave by a port number.
//
//	control plane (any goroutine)               workers (one Forwarder each)
//
//	AddTunnel, SetSession, ...  ---> Table <--- Process(mem, batch, now, out)
//	SessionCounters, PortDrops  <--- counters of every worker
//
// A frame from a port with attachments that match its tags is encapsulated; any other frame of a
// core port is decapsulated; the rest is dropped. Every frame given to Process comes back, with
// the port to send it or NoPort, and every NoPort has added one to exactly one Drop at the port
// that received the frame. The frame stays in its chunk and is not copied: its start moves.
//
// # Records
//
// Next hop, tunnel header and session part of an encapsulation are separate records, written
// before the frame back to front. A neighbour that changes its MAC, or a tunnel that moves to
// another next hop, is one store, whatever the number of sessions.
//
//	index (8 bytes an entry) -> session (64 bytes) -> counters (128 bytes a worker)
//	                                 |
//	                                 +-> tunnel (128 bytes) -> next hop (32 bytes)
//
// Records are without pointers, and immutable while workers can find them: a change writes a
// new record and swaps the index entry that leads to it. The old one is used again when every
// worker has been outside Process since. That no worker waits for the control plane, and the
// control plane for no worker, is the reason for this shape.
//
// # Strictness
//
// A session is found by IP version, encapsulation, both addresses, both ports and session id
// together; the kernel looks at the session id alone. Then UDP checksum, length, cookie, sublayer,
// inner length, tags and size are checked, in this order, and the first that fails names the drop.
package pw
