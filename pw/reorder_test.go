package pw

import (
	"slices"
	"testing"
	"time"
)

// A session whose packets are not to wait any more loses none of those that do: they leave in front of the
// next one that comes, or when their time is over.
func TestReorderEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		numbers []int // that come afterwards
		at      []int // numbers delivered at once then
		later   []int // and when those that wait are due
		lost    uint64
	}{
		{"nothing comes", nil, nil, []int{2, 4}, 2},
		{"the first of those missing", []int{1}, []int{1, 2}, []int{4}, 1},
		{"one behind all", []int{6, 7}, []int{2, 4, 6, 7}, nil, 3},
		{"one between", []int{3, 5}, []int{2, 3, 4, 5}, nil, 1},
		{"one that waits again", []int{4}, nil, []int{2, 4}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, id := sequenceBox(t, 1, Sequence{Send: true, Reorder: time.Second})
			r := newRig(t, table)
			f := table.Forwarder(0)
			given := 0
			var out []Frame
			process := func(numbers ...int) (got []int) {
				for _, n := range numbers {
					out = f.Process(r.mem, []Frame{r.put(given, 0, 256, numbered(t, n, n))}, 1, out[:0])
					given++
					got = append(got, delivered(r, out)...)
				}
				return got
			}
			process(0, 2, 4)
			spec, _ := table.Session(id)
			spec.Sequence.Reorder = 0
			if err := table.SetSession(id, spec); err != nil {
				t.Fatal(err)
			}
			if got := process(tt.numbers...); !slices.Equal(got, tt.at) {
				t.Errorf("delivered %v, want %v", got, tt.at)
			}
			out = f.Expire(r.mem, int64(2*time.Second), out[:0])
			if got := delivered(r, out); !slices.Equal(got, tt.later) || f.Held() != 0 || f.Deadline() != 0 {
				t.Errorf("delivered %v, want %v; %d held until %d", got, tt.later, f.Held(), f.Deadline())
			}
			if n, _ := table.Numbering(id); n.Lost != tt.lost {
				t.Errorf("lost %d, want %d", n.Lost, tt.lost)
			}
			if got := process(20, 22); !slices.Equal(got, []int{20, 22}) {
				t.Errorf("delivered %v: packets wait again", got)
			}
		})
	}
}

// delivered are the last bytes of frames that leave by port 1.
func delivered(r *rig, out []Frame) (list []int) {
	for _, o := range out {
		if o.Out == 1 {
			list = append(list, int(u16(r.bytes(o)[14:])))
		}
	}
	return list
}
