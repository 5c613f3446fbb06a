// Package pathmtu receives what routers on the way of tunnels' packets say when one is too large for
// what lies behind them: ICMP "fragmentation needed" (RFC 1191) and ICMPv6 "packet too big" (RFC 8201).
// The kernel hears it too, but learns nothing for IP protocol 115, and for UDP only where a socket of its
// own sent the packet.
//
// Sockets live in the network namespace of the thread that opens them and need CAP_NET_RAW.
package pathmtu
