package pw

// In random worlds a rate lets nothing through, or everything, and the buckets of storm limits are
// empty: what a bucket does in time is bucket_test.go's.
var (
	shutRate = Rate{Bits: 1, Burst: 1}
	openRate = Rate{Bits: MaxRate, Burst: MaxBurst}
)

func (w *world) randomLimits() (l Limits) {
	rng := w.rng
	if rng.IntN(6) > 0 {
		return l
	}
	rate := func() Rate { return pick(rng, Rate{}, Rate{}, openRate, openRate, shutRate) }
	limit := func() uint32 { return pick[uint32](rng, 0, 5) }
	return Limits{Tx: rate(), Rx: rate(), Broadcast: limit(), Multicast: limit(), UnknownUnicast: limit()}
}

// drain empties the buckets of a session's storm limits.
func (w *world) drain(id SessionID) {
	l := w.table.extraOf(uint32(id)).limits
	if l == nil {
		return
	}
	if l.Tx == shutRate {
		l.tx.admits(1, 1)
	}
	if l.Rx == shutRate {
		l.rx.admits(1, 1)
	}
	for range 5 {
		l.broadcast.admits(1, 1)
		l.multicast.admits(1, 1)
		l.unknown.admits(1, 1)
	}
}

// refLimits tells what a session's limits do to a frame that came for it. Nobody in a random world
// sends from the address that others send to.
func (s *SessionSpec) refLimits(frame []byte) (Drop, Counters) {
	if len(frame) >= 14 && !isPPP(s.Type) {
		all := true
		for _, b := range frame[:6] {
			all = all && b == 0xff
		}
		limit := s.Limits.UnknownUnicast
		switch {
		case all:
			limit = s.Limits.Broadcast
		case frame[0]&1 != 0:
			limit = s.Limits.Multicast
		}
		if limit != 0 {
			return DropStorm, Counters{RxStormDiscards: 1}
		}
	}
	if s.Limits.Rx == shutRate && len(frame) > 0 {
		return DropPoliced, Counters{RxRateDiscards: 1}
	}
	return dropNone, Counters{}
}
