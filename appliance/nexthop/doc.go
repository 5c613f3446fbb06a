// Package nexthop tells where a tunnel's packets leave this box: the port, the two MAC addresses,
// the VLAN tags and the MTU of the path.
//
// It decides nothing of its own. Every answer is the kernel's: RTM_GETROUTE for the route (so that
// policy rules, several tables, VRFs, metrics and ECMP count as they do for the host's own
// packets), the neighbour table for the MAC address, the link table for what lies between the
// route's device and a port. Frames that bypass the kernel never confirm a neighbour, so a
// neighbour that a key needs is made NTF_EXT_MANAGED: the kernel itself keeps it resolved.
//
// A Watcher follows the kernel's notifications. Those only say which keys to ask again; what is
// reported always comes from asking. Requests are written in batches on one socket of the
// package's own, which the netlink library has no call for: a default route that moves under
// 100,000 keys is 100,000 questions.
//
// From the same link table it tells which VLAN devices are over a port (VLANs): the tags with which
// the kernel would take packets from there.
//
// All sockets belong to the network namespace of the thread that called New.
package nexthop
