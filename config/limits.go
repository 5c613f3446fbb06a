package config

import (
	"math/big"
	"strings"
)

// Limits is what a session may carry. Its zero value is no limit.
type Limits struct {
	Rate, Burst  uint64 // bits a second for each direction, 0: no limit; bytes, 0: BurstOf the rate
	RateTx       uint64 // into the pseudowire, if RateTxGiven
	RateRx       uint64
	RateTxGiven  bool
	RateRxGiven  bool
	Broadcast    uint32 // frames a second towards the customer, 0: no limit
	Multicast    uint32
	UnknownUcast uint32
}

const (
	mostRate  = 1e12
	mostBurst = 1 << 32
	mostLimit = 1e9
	// leastBurst is a full frame with two tags: with less, such frames never pass.
	leastBurst = 1522
)

// BurstOf is the burst of a rate for which none is given: what it allows in 100 ms, and 16384 bytes at
// least.
func BurstOf(rate uint64) uint64 { return min(max(rate/80, 16384), mostBurst) }

// Tx and Rx are the rate and the burst into the pseudowire, and out of it; 0 and 0: no limit.
func (l Limits) Tx() (rate, burst uint64) { return l.rate(l.RateTx, l.RateTxGiven) }
func (l Limits) Rx() (rate, burst uint64) { return l.rate(l.RateRx, l.RateRxGiven) }

func (l Limits) rate(own uint64, given bool) (rate, burst uint64) {
	if rate = l.Rate; given {
		rate = own
	}
	switch {
	case rate == 0:
		return 0, 0
	case l.Burst == 0:
		return rate, BurstOf(rate)
	}
	return rate, l.Burst
}

// set takes the keys about what a session may carry.
func (l *Limits) set(r *reader, key string, v any) {
	switch key {
	case "rate":
		l.Rate, _ = r.quantity(key, v, mostRate)
	case "burst":
		l.Burst, _ = r.quantity(key, v, mostBurst)
	case "rate_tx":
		l.RateTx, l.RateTxGiven = r.quantity(key, v, mostRate)
	case "rate_rx":
		l.RateRx, l.RateRxGiven = r.quantity(key, v, mostRate)
	case "broadcast_limit":
		l.Broadcast = r.limit(key, v)
	case "multicast_limit":
		l.Multicast = r.limit(key, v)
	case "unknown_unicast_limit":
		l.UnknownUcast = r.limit(key, v)
	}
}

func (r *reader) limit(key string, v any) uint32 {
	n, _ := r.integer(key, v, 0, mostLimit)
	return uint32(n)
}

// quantities are the suffixes of a string that stands for a number.
var quantities = map[string]int64{
	"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30,
}

// quantity reads an integer, or a string such as "10M", "1.5G" or "64Ki".
func (r *reader) quantity(key string, v any, most int64) (uint64, bool) {
	text, ok := v.(string)
	if !ok {
		if _, ok := v.(int64); !ok {
			r.errorf(key, `must be an integer, or a string such as "10M" or "64Ki", is %s`, describe(v))
			return 0, false
		}
		n, ok := r.integer(key, v, 0, most)
		return uint64(n), ok
	}
	number := strings.TrimRight(text, "kKMGTi")
	times, known := quantities[text[len(number):]]
	n, ok := new(big.Rat).SetString(number)
	if !known || !ok || strings.ContainsFunc(number, func(c rune) bool { return c != '.' && (c < '0' || c > '9') }) {
		r.errorf(key, `%q is no number; write it as 10000000, "10M" or "64Ki"`, text)
		return 0, false
	}
	n.Mul(n, new(big.Rat).SetInt64(times))
	if !n.IsInt() {
		r.errorf(key, "%q is no whole number", text)
		return 0, false
	}
	if !n.Num().IsInt64() || n.Num().Int64() > most {
		r.errorf(key, "%q is out of range; use 0 to %d", text, most)
		return 0, false
	}
	return n.Num().Uint64(), true
}

func (l Limits) entries(put entries) {
	n := func(key string, v uint64, given bool) {
		if given {
			put(key, int64(v))
		}
	}
	n("rate", l.Rate, l.Rate != 0)
	n("burst", l.Burst, l.Burst != 0)
	n("rate_tx", l.RateTx, l.RateTxGiven)
	n("rate_rx", l.RateRx, l.RateRxGiven)
	n("broadcast_limit", uint64(l.Broadcast), l.Broadcast != 0)
	n("multicast_limit", uint64(l.Multicast), l.Multicast != 0)
	n("unknown_unicast_limit", uint64(l.UnknownUcast), l.UnknownUcast != 0)
}

// ReportLimits is what a session may carry; what is absent is not limited.
type ReportLimits struct {
	RateTx              int64  `json:"rate_tx,omitempty"`  // bits a second into the pseudowire
	BurstTx             int64  `json:"burst_tx,omitempty"` // bytes
	RateRx              int64  `json:"rate_rx,omitempty"`
	BurstRx             int64  `json:"burst_rx,omitempty"`
	BroadcastLimit      uint32 `json:"broadcast_limit,omitempty"` // frames a second
	MulticastLimit      uint32 `json:"multicast_limit,omitempty"`
	UnknownUnicastLimit uint32 `json:"unknown_unicast_limit,omitempty"`
}

// Report tells what the limits are.
func (l Limits) Report() (r ReportLimits) {
	rate, burst := l.Tx()
	r.RateTx, r.BurstTx = int64(rate), int64(burst)
	rate, burst = l.Rx()
	r.RateRx, r.BurstRx = int64(rate), int64(burst)
	r.BroadcastLimit, r.MulticastLimit, r.UnknownUnicastLimit = l.Broadcast, l.Multicast, l.UnknownUcast
	return r
}

// limitWarnings tells what of a session's limits has no effect, or not the one that was meant.
func limitWarnings(warn func(key, format string, args ...any), s *Session) {
	l := s.Limits()
	tx, _ := l.Tx()
	rx, _ := l.Rx()
	for _, limit := range []struct {
		key string
		n   uint32
	}{{"broadcast_limit", l.Broadcast}, {"multicast_limit", l.Multicast}, {"unknown_unicast_limit", l.UnknownUcast}} {
		if s.PPP() && limit.n != 0 {
			warn(limit.key, "has no effect on PPP, whose frames have no addresses")
		}
	}
	switch {
	case l.Burst != 0 && tx == 0 && rx == 0:
		warn("burst", "has no effect without rate, rate_tx or rate_rx")
	case l.Burst != 0 && l.Burst < leastBurst:
		warn("burst", "%d bytes is less than a full frame (%d with two tags): longer frames never pass", l.Burst, leastBurst)
	}
}
