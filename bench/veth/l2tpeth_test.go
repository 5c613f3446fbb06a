package veth

import (
	"slices"
	"testing"
	"time"

	"xwire/bench/vm"
)

// TestKernelL2TP measures the kernel's own L2TP beside ours, in a guest whose kernel has it. A case
// stands only if frames come out of it as they should: both are held to the same bytes.
func TestKernelL2TP(t *testing.T) {
	if !vm.Inside(t, vm.Config{}) {
		return
	}
	for _, encap := range []string{"ip4", "udp6"} {
		t.Run(encap, func(t *testing.T) {
			cases := []string{"encap", "decap", "l2tpeth-encap", "l2tpeth-decap"}
			c := small(t, cases...)
			c.Encap = encap
			c.Window = 200 * time.Millisecond // an emulated CPU is slow, and this one has two things to do
			r, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range r.Results[1:] {
				got = append(got, v.Case)
				t.Logf("%s: %.3f Mpps", v.Case, v.Mpps) // under load the guest may have no time for it
			}
			if !slices.Equal(got, cases) {
				t.Errorf("measured %v, want %v; skipped %v", got, cases, r.Skipped)
			}
		})
	}
}
