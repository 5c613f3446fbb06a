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
// They run in generic mode, on purpose. With native programs
//
//   - the kernel would set pages aside for each interface, about 300 KiB once a frame has passed;
//   - the CPU that sends would choose the queue of the trunk, so that frames of one flow could
//     overtake each other; now the flow chooses it, as with any device;
//   - an interface would have to have GRO on to receive anything, without a word if it has not;
//   - and nothing would be faster: frames begin and end as buffers of the stack.
//
// An interface must send frames that are whole: no offload of checksums, segments or tags.
package splice
