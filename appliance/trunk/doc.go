// Package trunk makes the local interfaces: a session without a port ends on a network device of
// this box that can be addressed, bridged, routed or moved, as with the kernel's l2tpethN.
//
//	interface_name   interface_name          for people and the stack
//	     | VLAN 1         | VLAN 2           then 802.1ad service tags with 802.1Q tags in them
//	     +-------+--------+
//	         xw-stack                        no offloads, so that frames are whole
//	             |  veth, a queue a worker
//	         xw-port                         the port that xwire binds; no address
//
// Where the kernel has no VLAN devices, an interface is one end of a veth pair of its own, and XDP
// programs on its other end and on xw-stack do what 8021q would do: see package splice. xw-port
// sees the same frames.
//
// One pair of queues a worker carries them all: a bound AF_XDP queue costs the kernel about
// 128 bytes for each frame of the arena, so thousands of interfaces must not be thousands of ports.
//
// The devices outlive the process, a crash included, with their index, MAC address, addresses and
// bridge membership. They are known again by their place on the trunk, their alias
// ("xwire TUNNEL/SESSION") and the state file, which also remembers those that the operator moved
// into another network namespace, and the MAC address of those that he deleted. Watch tells of these
// at once.
//
// A device is created down, as the kernel creates l2tpethN: scripts say "ip link set NAME up".
// After that up and down are the operator's, also across restarts.
//
// Everything happens in the network namespace of the thread that called Open; the process is
// meant to be in one namespace as a whole.
package trunk
