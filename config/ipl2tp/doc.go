// Package ipl2tp has the words of iproute2's `ip l2tp`: it reads the arguments of add, delete and
// show, and prints tunnels and sessions as `ip l2tp show` does, with -json, -pretty and -oneline
// too. It knows no kernel and no running xwire.
//
// Two things that `ip` gets wrong are not repeated: what show is asked for (tunnel_id, session_id)
// is what it prints, and no session is printed with a cookie of the one before it.
package ipl2tp
