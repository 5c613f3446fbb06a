package appliance

import (
	"slices"
	"testing"
)

func TestChooseCPUs(t *testing.T) {
	for _, c := range []struct {
		name                      string
		configured, allowed, near []int
		queues                    int
		want                      []int
	}{
		{"OneOfTwoIsLeft", nil, []int{0, 1}, nil, 4, []int{1}},
		{"TheOnlyOne", nil, []int{5}, nil, 4, []int{5}},
		{"OneForEachQueue", nil, []int{0, 1, 2, 3}, nil, 2, []int{1, 2}},
		{"OnTheNode", nil, []int{0, 1, 2, 3}, []int{2, 3}, 8, []int{2, 3}},
		{"NodeNotAllowed", nil, []int{0, 1}, []int{6, 7}, 1, []int{1}},
		{"AsConfigured", []int{1, 1, 1, 1}, []int{0, 1}, nil, 1, []int{1, 1, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := chooseCPUs(c.configured, c.allowed, c.near, c.queues)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("chooseCPUs = %v, %v, want %v", got, err, c.want)
			}
		})
	}
	if _, err := chooseCPUs([]int{9}, []int{0, 1}, nil, 1); err == nil {
		t.Error("chooseCPUs took a CPU that is not allowed")
	}
}

func TestParseCPUList(t *testing.T) {
	if got, want := parseCPUList("0-2,8,10-11"), []int{0, 1, 2, 8, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("parseCPUList = %v, want %v", got, want)
	}
}
