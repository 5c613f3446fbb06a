package l2tp

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// plainSum is RFC 1071 word by word.
func plainSum(initial uint16, b []byte) uint16 {
	s := uint32(initial)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func TestSumAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 9018+8)
	fills := map[string]func(){
		"Random": func() {
			for i := range buf {
				buf[i] = byte(rng.Uint32())
			}
		},
		"Ones": func() {
			for i := range buf {
				buf[i] = 0xff
			}
		},
		"Zeros": func() { clear(buf) },
	}
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			fill()
			for n := 0; n <= 9018; n++ {
				if n > 300 && n%37 != 0 {
					continue
				}
				for align := 0; align < 8; align++ {
					initial := uint16(rng.Uint32())
					b := buf[align : align+n]
					if got, want := Sum(initial, b), plainSum(initial, b); got != want {
						t.Fatalf("Sum(%#x, %d bytes at %d) = %#x, want %#x", initial, n, align, got, want)
					}
				}
			}
		})
	}
}

func FuzzSum(f *testing.F) {
	f.Add(uint16(0), []byte{1})
	f.Add(uint16(0xffff), []byte{0xff, 0xff, 0, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, initial uint16, b []byte) {
		if got, want := Sum(initial, b), plainSum(initial, b); got != want {
			t.Fatalf("Sum = %#x, want %#x", got, want)
		}
	})
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 512, 1500} {
		b.Run(fmt.Sprintf("size=%d", n), func(b *testing.B) {
			buf := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			var s uint16
			for b.Loop() {
				s += Sum(0, buf)
			}
			_ = s
		})
	}
}
