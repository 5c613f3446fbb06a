// Package pw forwards frames between attachment circuits and L2TP pseudowires. It knows no NIC,
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
// that received the frame, unless its data were merged into another frame (Reassemble). The frame stays in its chunk and is not copied: its start moves.
//
// # Records
//
// Next hop, tunnel header and session part of an encapsulation are separate records, written
// before the frame back to front. A neighbour that changes its MAC, or a tunnel that moves to
// another next hop, is one store, whatever the number of sessions.
//
//	index (8 bytes an entry) -> session (128 bytes a worker)
//	                                 |
//	                                 +-> tunnel (128 bytes) -> next hop (32 bytes)
//
// An index entry is tag and record number in one word; an entry's place follows from its tag
// alone, so an index grows in one sequential pass that looks at no record. Entries lie between
// half and three quarters full.
//
// A session's record is two cache lines, one a direction, each with what is read of it and what is
// counted: where many sessions have traffic, what a frame costs is the lines it touches. As it counts
// there, every worker has a copy. Of what is odd, 64 bytes more are counted, by all workers together.
// All in all a session takes 240 bytes with one worker, and 128 for each further one.
//
// Records are without pointers, and immutable while workers can find them: a change writes a
// new record and swaps the index entry that leads to it. The old one is used again when every
// worker has been outside Process since. That no worker waits for the control plane, and the
// control plane for no worker, is the reason for this shape.
//
// # The way of a batch
//
// Process takes frames in bursts of up to 64. A row of frames at a burst's beginning that goes on
// with the session before (a streak) is forwarded by comparing and copying words. All others are
// sorted by direction, and each lot goes through stages: index entries for all, then records for
// all, then the rewriting, so that cache misses overlap: the shorter a stage's loop, the more of them.
// Frames of one session keep their order,
// because a streak ends where the first other frame of the burst stands.
//
// Spread tells which worker is to process a frame where few receive for many: by what names its
// session, so that the session's frames stay together.
//
// What is uncommon (tags to be rewritten outside of streaks, UDP checksums, odd lengths, a second
// cookie, whatever will be dropped) leaves these loops for functions that do everything in the
// order of the bytes on the wire: encap, parseOuter, decap. They are the ones to read first.
//
// A million sessions lie on 60,000 pages of 4 KiB: then finding the page costs more than reading
// what is on it. Whoever owns the process should have the kernel put its heap on huge pages
// (MADV_COLLAPSE) once the table is filled.
//
// # Strictness
//
// A session is found by IP version, encapsulation, both addresses, both ports and session id
// together; the kernel looks at the session id alone. Then UDP checksum, length, cookie, sublayer,
// inner length, tags and size are checked, in this order, and the first that fails names the drop.
//
// # Marks and limits
//
// What all packets of a tunnel say in their outer headers stands in its prebuilt header and costs
// nothing. What a session says otherwise (Marking), and what it may carry (Limits), is looked up in its
// extra: only sessions with one go that way. Marks are read from a frame before it is changed, and written
// before the UDP checksum is computed and the packet is cut into fragments. A limit is one word that all
// workers compare and swap: the time at which the bucket will be full again.
//
// # OAM
//
// A message with the V bit (VCCV, RFC 5085) whose cookie is right is no frame: it is dropped as
// DropOAM, counted as the session's RxOAM, and copied into the worker's OAMQueue, from which one
// goroutine of whoever owns the process takes it. The queue holds 64; a worker that finds it full
// counts and goes on.
//
// # L2TPv2 and PPP
//
// A session of L2TPv2 is found by the same addresses and ports, and by tunnel id and session id.
// PPP is sent with address and control (ff 03), as the kernel does, and taken with and without. Its
// circuit is a PPPoE session of a port, which is found by port, VLAN and PPPoE session id, or another
// session (Join). All of them go past extra, one by one.
//
// # Counters
//
// Session counters follow the kernel's rules where it has one. RxPackets and RxBytes count what
// has passed cookie and sublayer, even if it is then not delivered. RxErrors counts every frame of
// the session that was not delivered, those as well; the kernel leaves them to the interface's
// counters. A wrong version, and a message too short for cookie and sublayer, are RxInvalid of the
// tunnel, as in the kernel, though over IP too. A UDP checksum that is wrong leaves no trace but
// the port's drop reason: nothing in such a packet can be believed, the session id included.
package pw
