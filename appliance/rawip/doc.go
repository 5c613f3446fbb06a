// Package rawip receives, by raw sockets, IP packets that the kernel delivers to this host: those that
// it has put together from fragments above all. Sockets live in the network namespace of the thread
// that opens them and need CAP_NET_RAW.
package rawip
