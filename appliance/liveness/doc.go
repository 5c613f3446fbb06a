// Package liveness tells whether the peers of static tunnels are there. It answers every HELLO of
// theirs, and where a tunnel has an interval sends HELLOs of its own (RFC 3931 section 4.4, as
// ql2tpd does on static tunnels): a peer that acknowledges is up, one that does not is down.
//
//	Watcher ──> line     one pair of addresses (and ports): all tunnels between them
//	   │          └──> control.Channel, by way of hello: numbers, repetitions, acknowledgements
//	   └──> Config.OnChange, in the order of the changes
//
// Over IP a line has a raw socket of protocol 115 whose filter lets session id 0 through; other
// programs' sockets get copies. A UDP socket would keep its port from a daemon that starts later, and
// without one the kernel tells the peer that nobody is there. So over UDP there is none: the steering
// program hands up the messages to the tunnels' ids (Config.Take, Watcher.Receive), and a raw socket
// sends. Where another program has a socket for the very same peer, that program is left to answer: the
// tunnel's state is then unknown, with the reason, and it is looked again from time to time.
//
// A static tunnel has no beginning that both ends know of, so their numbers may disagree: see
// control.Settings.Static.
package liveness
