package capture

import "xwire/pw"

// Record is a frame as it was at one place. Its Data are valid until the reader asks for the next one.
type Record struct {
	Time   int64  // ns of the monotonic clock, when its batch was taken
	Port   uint16 // where it was received or is to be sent
	Sent   bool   // else received
	Outer  bool   // with outer headers
	Way    pw.Way
	Held   bool   // waits for others
	Drop   string // why it was dropped; empty: it was not
	Worker uint8

	Session, Other pw.SessionID // as pw.Seen has them
	Length         int          // of the frame; Data may be less
	Data           []byte
}

// Filter says what is wanted. The zero value but for Port is everything.
type Filter struct {
	Session             pw.SessionID // 0: of all, and of none
	Port                int          // what passes this port; -1: of all
	Inner, Outer, Drops bool         // any of these; none: all
	Snap                int          // bytes of each frame; 0: all
}

// of tells, before it is known what becomes of a frame, whether it may be wanted.
func (f *Filter) of(s *pw.Seen) bool {
	return f.Session == 0 || s.Session == f.Session || s.Other == f.Session
}

// takes tells whether a record of a frame that may be wanted is.
func (f *Filter) takes(r *Record) bool {
	switch {
	case f.Port >= 0 && int(r.Port) != f.Port:
		return false
	case !f.Inner && !f.Outer && !f.Drops:
		return true
	}
	return f.Drops && r.Drop != "" || f.Inner && !r.Outer || f.Outer && r.Outer
}
