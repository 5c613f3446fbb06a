package pw

import "xwire/l2tp"

// Values of the ECN field, RFC 3168 section 5.
const (
	notECT = iota
	ect1
	ect0
	ce
)

// combineECN is RFC 6040 section 4.2, figure 4: what a packet whose field is inner becomes that came
// in an outer header with the field outer. False: it must be dropped, for it cannot be told of the
// congestion.
func combineECN(inner, outer uint8) (uint8, bool) {
	switch {
	case outer == ce:
		return ce, inner != notECT
	case inner == ect0 && outer == ect1:
		return ect1, true
	}
	return inner, true
}

// congestion brings what the outer header says of congestion inside. What is no IP packet stays as it
// is: no router along the path has called it capable of ECN. ppp: it is a frame of PPP.
func congestion(frame []byte, ppp bool, outer uint8) Drop {
	if outer &= ecnMask; outer != ce && outer != ect1 {
		return dropNone
	}
	var in inside
	if ppp {
		in.ip = insidePPP(l2tp.TrimPPP(frame))
	} else {
		in = lookInside(frame, 0)
	}
	if in.ip == nil {
		return dropNone
	}
	inner := in.tos() & ecnMask
	ecn, ok := combineECN(inner, outer)
	if !ok {
		return DropECN
	}
	if ecn != inner {
		in.setECN(ecn)
	}
	return dropNone
}
