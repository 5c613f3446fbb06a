// Package host finds, changes and puts back what must be different on a network interface while
// xwire has it, so that frames reach the AF_XDP sockets as they were on the wire.
//
//	Plan ----> Apply ----> (frames) ----> Restore
//	reads       journal,                   settings as they were,
//	only        then set                   entry out of the journal
//	                 \--- kill -9 ---> next start: Recover puts back what no port wants any
//	                                   more; Apply adopts the rest, with the old From
//
// # What is changed, and why
//
//   - A NIC that strips VLAN tags hides them: the program and the sockets see an untagged frame.
//   - A NIC that merges segments (LRO, GRO in hardware) hands over frames nobody sent.
//   - A veth carries what the stack at its other end means to leave to hardware: checksums that
//     are not computed, segments not cut, tags not written. These are settings of the other end.
//     If that is in our own network namespace they are changed there; if not, the plan carries a
//     warning with the command.
//   - A choice of queues that the NIC's own spreading overshoots would lose frames to the kernel.
//     It is refused, with the command that mends it.
//
// Promiscuity is a membership of a packet socket, which the kernel takes back by itself; it is in
// no journal.
//
// A Host works in the network namespace it was opened in, without looking into /sys: there a
// namespace may see the interfaces of another.
package host
