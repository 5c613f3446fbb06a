// Package l2tp holds the wire formats of L2TP data messages and of the packets that carry them:
// typed views over byte slices, checksums, overheads. It knows no sessions, no NICs and no
// operating system, allocates nothing per frame and imports the standard library only.
//
// A view (Ethernet, IPv4, IPv6, UDP, Data, V2, PPPoE) is a byte slice with names for its offsets.
// Its getters do not check lengths: call Valid (or compare with the Len constant) once, then trust
// it.
//
// An L2TPv2 data message, always over UDP, is drawn at V2. An L2TPv3 data message, RFC 3931
// sections 4.1.1 and 4.1.2.1:
//
//	over IP (protocol 115)             over UDP
//	                                   | T x ... x Ver=3 | Reserved |  4 bytes
//	| Session ID                    |  | Session ID                 |  4 bytes
//	| Cookie                        |  | Cookie                     |  0, 4 or 8 bytes
//	| L2-specific sublayer          |  | L2-specific sublayer       |  0 or 4 bytes
//	| payload                       |  | payload                    |
//
// Nothing in the message tells how long cookie and sublayer are: both ends must be configured
// alike, and the session must be found before the cookie can be read.
package l2tp
