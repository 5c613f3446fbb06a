// Package control holds L2TP's control messages: their wire format, of L2TPv2 (RFC 2661) and
// L2TPv3 (RFC 3931), and the reliable delivery that both share. It opens no socket, reads no clock
// and imports the standard library only.
//
// A control message, RFC 3931 section 3.2.1 and RFC 2661 section 3.1:
//
//	L2TPv3                             L2TPv2
//	| 0, over IP only               |
//	|T|L|x x|S|x ... x|Ver | Length |  |T|L|x x|S|x ... x|Ver | Length |
//	| Control Connection ID         |  | Tunnel ID     | Session ID    |
//	| Ns            | Nr            |  | Ns            | Nr            |
//	| AVPs ...                      |  | AVPs ...                      |
//
// T, L and S are 1. Length counts from the flags on. The ids are those that the receiver gave. A
// message without AVPs (zero-length body, ZLB) only acknowledges, and so does L2TPv3's ACK.
package control
