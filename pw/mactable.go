package pw

import "sync/atomic"

// MaxMACs is how many addresses a session with Limits.UnknownUnicast remembers at most. A new one
// takes the place of the oldest of those that share four places with it.
const MaxMACs = macSets * macWays

const (
	macSets = 256
	macWays = 4

	// Time is in units of 2^32 ns, 4.3 s, modulo 2^16.
	macTick = 32
	macAge  = 70 // units: five minutes
)

// macTable remembers source addresses and when they were last seen. Any worker may write: an entry is
// one word, and of two that write at once to one place one is learnt later. Most frames of a known
// address write nothing.
type macTable struct {
	entries [macSets][macWays]atomic.Uint64 // address<<16 | time; 0: none
}

func macTime(now int64) uint16 { return uint16(now >> macTick) }

func (t *macTable) set(mac uint64, s *seeds) *[macWays]atomic.Uint64 {
	return &t.entries[tagOf(fold(mac^s[0], s[1]))%macSets]
}

// learn remembers an address; group addresses and 0 are nobody's.
func (t *macTable) learn(mac uint64, s *seeds, now int64) {
	if mac == 0 || mac&groupMAC != 0 {
		return
	}
	set, at := t.set(mac, s), macTime(now)
	is := mac<<16 | uint64(at)
	oldest, age := 0, -1
	for i := range set {
		e := set[i].Load()
		if e == is {
			return
		}
		if e>>16 == mac {
			set[i].Store(is)
			return
		}
		old := int(at - uint16(e))
		if e == 0 {
			old = 1 << 16
		}
		if old > age {
			oldest, age = i, old
		}
	}
	set[oldest].Store(is)
}

// knows tells whether an address has been seen of late.
func (t *macTable) knows(mac uint64, s *seeds, now int64) bool {
	set, at := t.set(mac, s), macTime(now)
	for i := range set {
		// The time may be a little ahead: another worker's batch began later.
		if e := set[i].Load(); e>>16 == mac && at-uint16(e)+1 <= macAge+1 {
			return mac != 0
		}
	}
	return false
}
