// Package lab builds small networks inside one Linux box: namespaces joined by
// veth pairs, processes inside them, and traffic that is checked at both ends.
// The demo, the tests and the benchmarks stand on it.
//
// A lab never touches what it did not make: every interface lives in a
// namespace of the lab from its first moment, so the host sees no new link, no
// route and no address. Everything needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
package lab
