// Package steer holds the XDP program that decides, for every frame a port receives, whether it
// goes to an AF_XDP socket or to the kernel, and the loader of that program.
//
//	              +--------------------- steer.c, one instance a port ---------------------+
//	frame from -> | attachment circuit of the port? -> L2TP data message to a tunnel? -> no | -> kernel
//	the driver    +------------|---------------------------------|-------------------------+
//	                           +------> sockets[RX queue] <------+
//	                                    none there: kernel
//
// Of a packet in fragments the first one decides, and those that follow it go the same way. Those that come
// before it are ours if a tunnel is between the two addresses (Local.Peer), and the kernel's if not.
//
// It is the one place outside package l2tp that knows an L2TP header, and it knows no more of it
// than tells data from control, and at shared addresses one session from another. ARP, ND, ICMP,
// routing protocols, L2TP control messages, other fragments and IP options are the kernel's; a frame once
// redirected cannot go back to it.
//
// # Maps
//
// The local tunnel addresses (Steering.AddLocal) and the sessions of those that are shared are one
// map each for all ports. Sockets, rules, VLANs, MAC addresses, VLAN devices and statistics are maps
// of the port's own instance and go with it.
//
// Entries are counted: what is added twice must be removed twice. So two tunnels on one address,
// or a session that takes over the VLAN of another, need not know of each other.
//
// # Shared addresses
//
// The kernel's own L2TP and control daemons may use a tunnel's address and port beside us. At an
// address marked Local.Shared a data message is ours only if its session was added
// (Steering.AddSession); any other goes to the kernel and is counted as Unknown. The program asks
// nothing more of messages to other addresses.
//
// # Control messages
//
// Those over UDP to a tunnel that was added (Steering.AddControl) are handed to Steering.ReadControl by
// a ring, so that HELLOs are answered without a socket that has the tunnel's port: the kernel's L2TP or a
// control daemon may take it at any time, and goes on getting all other messages.
//
// # PPPoE
//
// A PPPoE session's data frames are an attachment circuit's where the session was added to the port
// (Program.AddPPPoE). Discovery and all other sessions are the kernel's, for a PPPoE server beside us.
//
// # VLANs of the core
//
// A trunk has VLANs of many owners, and an address of a peer is soon forged. So a data message with
// tags is taken only if they are those of a VLAN device over the port (Program.SetDevices), which is
// also when the kernel would take it; any other goes to the kernel and is counted as ForeignVLAN.
//
// # Lifetime
//
// The program hangs on a BPF link that nobody pins: when the process ends, however it ends, the
// kernel detaches it. A program of somebody else on the interface is never replaced (ForeignError).
//
// The kernel must be 5.18 or later. The program calls no helper that asks for the GPL.
package steer
