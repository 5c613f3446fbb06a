// Package splice does for the trunk of local interfaces what VLAN devices do, on kernels that have
// none (CONFIG_VLAN_8021Q not set).
//
//	NAME            a local interface: one end of a veth pair of its own
//	 |
//	xwl-...         its other end: the program "push" adds the tags of its place
//	 |
//	xw-stack        the stack's end of the trunk: the program "pop" takes tags away
//	 |
//	xw-port         the end that xwire binds; it sees what it sees with VLAN devices
//
// The programs are held by BPF links and end with the process; the devices stay.
//
// "push" runs in generic mode. A native program would make the kernel set pages aside for each
// device, about 300 KiB once a frame has passed, and would choose the queue of the trunk by the
// CPU that sends, so that frames of one flow could overtake each other; in generic mode the queue
// is chosen by the flow, as for any device. "pop" runs in the driver where that is possible.
//
// NAME must send frames that are whole: no offload of checksums, segments or tags. In native mode
// "pop" also needs NAME to have GRO on, which makes a veth take XDP frames.
package splice
