// Package liveness tells whether the peers of static tunnels are there. It answers every HELLO of
// theirs, and where a tunnel has an interval sends HELLOs of its own (RFC 3931 section 4.4, as
// ql2tpd does on static tunnels): a peer that acknowledges is up, one that does not is down.
//
//	Watcher ──> line     a socket for one pair of addresses (and ports): all tunnels between them
//	   │          └──> control.Channel, by way of hello: numbers, repetitions, acknowledgements
//	   └──> Config.OnChange, in the order of the changes
//
// The sockets are the kernel's ordinary ones, for the steering program leaves control messages to
// the kernel. Over UDP each is connected to its peer and shares its port (SO_REUSEADDR,
// SO_REUSEPORT), so that other programs may have the same port for other peers. Over IP it is a
// raw socket of protocol 115 whose filter lets session id 0 through. Where another program has a
// socket for the very same peer, or has the port for itself, that program is left to answer: the
// tunnel's state is then unknown, with the reason, and it is tried again from time to time.
//
// A static tunnel has no beginning that both ends know of, so their numbers may disagree: see
// control.Settings.Static.
package liveness
