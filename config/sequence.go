package config

import "xwire/l2tp"

// Sequence is how a session numbers its packets (RFC 3931 section 4.6.1). The zero value does not.
type Sequence struct {
	Send           bool // number what is sent
	Require        bool // drop what comes without a number
	LNS            LNSMode
	Resync         uint8  // old packets in order after which the peer is taken to have begun anew; 0: 4
	ReorderTimeout uint16 // ms that a packet waits for those before it; 0: none waits

	seqnum bool // as ql2tpd's key, until check has taken it into the others
}

// LNSMode says who decides whether packets are numbered (RFC 2661 section 5.4).
type LNSMode uint8

const (
	LNSAbsent LNSMode = iota // each direction is as it is set
	LNSOff                   // the peer: numbers are sent while it sends them
	LNSOn                    // we: while numbers are sent they are required too
)

const mostReorder = 10_000 // ms

// Wanted reports whether there is anything of it.
func (q *Sequence) Wanted() bool {
	return q.Send || q.Require || q.LNS == LNSOff || q.ReorderTimeout != 0
}

// Requires reports whether what comes without a number is dropped: who decides that packets are numbered
// demands it of the peer.
func (q *Sequence) Requires() bool { return q.Require || q.Send && q.LNS == LNSOn }

// Deciding is lns_mode as it is set; nil of absent.
func (q *Sequence) Deciding() *bool {
	if q.LNS == LNSAbsent {
		return nil
	}
	on := q.LNS == LNSOn
	return &on
}

// set takes one of the keys about sequence numbers.
func (q *Sequence) set(r *reader, key string, v any) {
	switch key {
	case "seqnum":
		r.setBoolean(key, v, &q.seqnum)
	case "send_seq":
		r.setBoolean(key, v, &q.Send)
	case "recv_seq":
		r.setBoolean(key, v, &q.Require)
	case "lns_mode":
		if b, ok := r.boolean(key, v); ok {
			q.LNS = LNSOff
			if b {
				q.LNS = LNSOn
			}
		}
	case "reorder_timeout":
		if n, ok := r.integer(key, v, 0, mostReorder); ok {
			q.ReorderTimeout = uint16(n)
		}
	case "resync_after":
		if n, ok := r.integer(key, v, 1, 255); ok {
			q.Resync = uint8(n)
		}
	}
}

// check settles what depends on several keys. has tells which have a value. numbered: the session's
// header has room for numbers.
func (q *Sequence) check(p problems, has func(string) bool, numbered bool) {
	if q.seqnum {
		q.Send = q.Send || !has("send_seq")
		q.Require = q.Require || !has("recv_seq")
		q.seqnum = false
	}
	if numbered {
		return
	}
	for _, k := range []struct {
		name string
		on   bool
	}{{"send_seq", q.Send}, {"recv_seq", q.Require}, {"lns_mode", q.LNS == LNSOff}, {"reorder_timeout", q.ReorderTimeout != 0}} {
		switch {
		case !k.on || !has(k.name) && !has("seqnum"):
		case !has(k.name):
			p.warnf("seqnum", `has no effect without l2spec_type = "default", whose four bytes hold the number`)
			*q = Sequence{Resync: q.Resync}
			return
		default:
			p.errorf(k.name, `needs l2spec_type = "default", whose four bytes hold the number`)
		}
	}
}

// warn tells what has no effect of the keys that are the session's own.
func (q *Sequence) warn(p problems, mine func(string) bool) {
	if q.LNS == LNSOn && !q.Send && mine("lns_mode") {
		p.warnf("lns_mode", "true has no effect without send_seq")
	}
	if q.Resync != 0 && !q.Wanted() && mine("resync_after") {
		p.warnf("resync_after", "has no effect without send_seq, recv_seq, lns_mode = false or reorder_timeout: numbers that come are ignored")
	}
}

func (q *Sequence) entries(put entries) {
	put.unless(false, q.Send, "send_seq")
	put.unless(false, q.Require, "recv_seq")
	if q.LNS != LNSAbsent {
		put("lns_mode", q.LNS == LNSOn)
	}
	if q.ReorderTimeout != 0 {
		put("reorder_timeout", int64(q.ReorderTimeout))
	}
	if q.Resync != 0 {
		put("resync_after", int64(q.Resync))
	}
}

// iproute2 is the argument of `ip l2tp add session ... seq` for the session's peer, whose words they
// are: it sends what we require.
func (q *Sequence) iproute2() string {
	switch {
	case q.Send && q.Require:
		return "both"
	case q.Send:
		return "recv"
	case q.Require:
		return "send"
	}
	return ""
}

// cisco is the argument of `sequencing` for the peer, behind a dash, or "".
func (q *Sequence) cisco() string {
	return map[string]string{"both": "-both", "recv": "-receive", "send": "-transmit"}[q.iproute2()]
}

// numbered tells whether packets of the session have room for a sequence number.
func (s *Session) numbered(t *Tunnel) bool { return s.L2Spec == l2tp.SublayerDefault || t.Version == 2 }
