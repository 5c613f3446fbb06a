package pw

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// In no span of time passes more than the burst and what the rate allows in it, and a sender that keeps
// to the rate loses nothing.
func TestBucketNeverLetsMoreThrough(t *testing.T) {
	for _, r := range []Rate{
		{8000, 1600}, {64_000, 9018}, {1_000_000, 16384}, {10_000_000, 125_000}, {999_999_937, 12_345_678},
		{100_000_000_000, 1 << 20}, {MaxRate, MaxBurst}, {MaxRate, 1600}, {1, 1600},
	} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(r, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				m, b := r.meter(), new(bucket)
				now := int64(rng.Uint64() >> 1 >> (seed * 12)) // wraps in ticks, or is near the boot
				type passed struct {
					at    int64
					bytes uint32
				}
				var got []passed
				refused := 0
				for range 3000 {
					n := uint32(14 + rng.IntN(1505))
					// Twice the rate.
					now += int64(rng.Float64() * float64(n) * 8e9 / float64(r.Bits))
					if rng.IntN(500) == 0 {
						now += int64(rng.Uint64N(1e12))
					}
					if b.take(&m, n, now) {
						got = append(got, passed{now, n})
					} else {
						refused++
					}
				}
				for _, from := range []int{0, 1, 7, len(got) / 3, len(got) / 2} {
					var sum uint64
					for i := from; i < len(got); i++ {
						sum += uint64(got[i].bytes)
						// sum*8e9 <= burst*8e9 + bits*t, all integers.
						have := new(big.Int).Mul(new(big.Int).SetUint64(sum-min(sum, r.Burst)), big.NewInt(8e9))
						may := new(big.Int).Mul(new(big.Int).SetUint64(r.Bits), big.NewInt(got[i].at-got[from].at+1))
						if have.Cmp(may) > 0 {
							t.Fatalf("%d bytes in %d ns from frame %d on", sum, got[i].at-got[from].at, from)
						}
					}
				}
				if len(got) == 0 || refused == 0 && r.Burst < 1<<20 {
					t.Errorf("%d passed, %d refused: this shows little", len(got), refused)
				}
			})
		}
	}
}

func TestBucketGivesTheRate(t *testing.T) {
	for _, r := range []Rate{{64_000, 1600}, {10_000_000, 16384}, {100_000_000_000, 64000}} {
		m, b := r.meter(), new(bucket)
		now, passed := int64(1<<60), uint64(0)
		step := int64(max(1, 200*8e9/r.Bits)) // four times the rate
		const steps = 200_000
		for range steps {
			if b.take(&m, 800, now) {
				passed += 800
			}
			now += step
		}
		want := float64(r.Burst) + float64(r.Bits)/8*float64(steps*step)/1e9
		if got := float64(passed); got > want || got < want*0.995-800 {
			t.Errorf("%+v: %.0f bytes passed, want %.0f", r, got, want)
		}
	}
}

// A frame as long as the burst passes when the bucket is full, one longer never.
func TestBucketBurst(t *testing.T) {
	m, b := Rate{8_000_000, 1500}.meter(), new(bucket)
	const ms = 1_000_000
	for i, c := range []struct {
		n    uint32
		at   int64
		want bool
	}{
		{1501, 0, false}, {1500, 0, true}, {1, 0, false}, {1, 1000, true}, {1, 1000, false},
		{1500, 2 * ms, true}, {750, 2*ms + ms/2, false}, {750, 2*ms + ms*3/4, true}, {1, 2*ms + ms*3/4, false},
		{1500, 5 * ms, true}, {1500, 5 * ms, false}, {60, 5*ms - 10, false},
	} {
		if got := b.take(&m, c.n, c.at+1e15); got != c.want {
			t.Errorf("%d: %d bytes at %d ns: %v", i, c.n, c.at, got)
		}
	}
}

// Workers that take together get no more than one would.
func TestBucketOfSeveralWorkers(t *testing.T) {
	r := Rate{8_000_000, 100_000}
	m, b := r.meter(), new(bucket)
	var wg sync.WaitGroup
	var passed atomic.Uint64
	const start, span = int64(1e15), int64(100_000_000)
	for w := range 4 {
		wg.Go(func() {
			for now := start + int64(w); now < start+span; now += 20_000 {
				if b.take(&m, 100, now) {
					passed.Add(100)
				}
			}
		})
	}
	wg.Wait()
	if got, most := passed.Load(), r.Burst+r.Bits/8*uint64(span)/1e9; got > most || got < r.Burst {
		t.Errorf("%d bytes passed, want at most %d", got, most)
	}
}

// FuzzBucket: of any script of frames (two bytes) and pauses (one byte, a power of two) at any rate, no more
// passes from any frame on than the burst and what the rate allows since; and what is refused passes once
// the bucket had time for it, if it is no longer than the burst.
func FuzzBucket(f *testing.F) {
	f.Add(uint64(1_000_000), uint64(16384), int64(0), []byte{5, 220, 10, 5, 220, 10, 0, 60, 40, 5, 220, 0})
	f.Add(uint64(1), uint64(1), int64(-1), []byte{0, 1, 0, 0, 1, 34})
	f.Add(uint64(MaxRate), uint64(MaxBurst), int64(1<<62), []byte{255, 255, 0, 255, 255, 1})
	f.Fuzz(func(t *testing.T, rate, burst uint64, start int64, script []byte) {
		r := Rate{Bits: 1 + rate%MaxRate, Burst: 1 + burst%MaxBurst}
		m, b := r.meter(), new(bucket)
		now := int64(1e9) + start&(1<<54-1) // a bucket that is new at the very end of the ticks fills for a second
		type passed struct {
			at    int64
			bytes uint64 // up to and with this one
		}
		got := []passed{}
		var sum uint64
		take := func(n uint32) bool {
			if !b.take(&m, n, now) {
				return false
			}
			sum += uint64(n)
			got = append(got, passed{now, sum})
			return true
		}
		for ; len(script) >= 3 && len(got) < 200; script = script[3:] {
			n := uint32(u16(script))
			now += int64(1) << (script[2] % 40)
			if take(n) || uint64(n) > r.Burst {
				continue
			}
			// A thousandth for what is rounded against the sender.
			wait := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(8_008_000_000))
			wait.Div(wait, new(big.Int).SetUint64(r.Bits))
			if now += wait.Int64() + 2; !take(n) {
				t.Fatalf("%+v: %d bytes are refused %v ns after they were", r, n, wait)
			}
		}
		for i := range got {
			for j := i; j < len(got); j++ {
				bytes := got[j].bytes
				if i > 0 {
					bytes -= got[i-1].bytes
				}
				have := new(big.Int).Mul(new(big.Int).SetUint64(bytes-min(bytes, r.Burst)), big.NewInt(8e9))
				may := new(big.Int).Mul(new(big.Int).SetUint64(r.Bits), big.NewInt(got[j].at-got[i].at+1))
				if have.Cmp(may) > 0 {
					t.Fatalf("%+v: %d bytes in %d ns", r, bytes, got[j].at-got[i].at)
				}
			}
		}
	})
}
