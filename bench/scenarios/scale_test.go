package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

const (
	manySessions   = 100_000
	sessionsTunnel = 1000
	// mostPerSession is what a session may add to the resident memory of the process, in bytes.
	mostPerSession = 512
)

// pairOf is the QinQ pair of session n, from 1.
func pairOf(n int) (outer, inner int) { return 1 + n/4000, 1 + n%4000 }

// scaleConfig has the given sessions of host i, each a QinQ pair of the access port, a thousand a
// tunnel.
func scaleConfig(i int, sessions []int) string {
	var b strings.Builder
	b.WriteString(corePort + accessPort + "[defaults.session]\nl2spec_type = \"none\"\nattach = \"ac0\"\n")
	tunnel := -1
	for _, n := range sessions {
		if n/sessionsTunnel != tunnel {
			tunnel = n / sessionsTunnel
			fmt.Fprintf(&b, "[tunnel.t%d]\nencap = \"ip\"\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n",
				tunnel, core4[i], core4[1-i], tunnel+1, tunnel+1)
		}
		outer, inner := pairOf(n)
		fmt.Fprintf(&b, "[tunnel.t%d.session.c%d]\nsid = %d\npsid = %d\ntx_cookie = \"%016x\"\nrx_cookie = \"%016x\"\nvlan = \"%d.%d\"\n",
			tunnel, n, n, n, n+i, n+1-i, outer, inner)
	}
	return b.String()
}

// A hundred thousand sessions from one file: forwarding soon after the start, in little memory.
func TestHundredThousandSessions(t *testing.T) {
	w := pair(t, shape{AccessMTU: 1512})
	few := []int{1, manySessions / 2, manySessions}
	all := make([]int, manySessions)
	for i := range all {
		all[i] = i + 1
	}
	must(t, w.boxes[1].Start(t.Context(), scaleConfig(1, few)))
	must(t, w.boxes[0].Start(t.Context(), scaleConfig(0, few)))
	base := settledKiB(t, w.boxes[0])
	must(t, w.boxes[0].Stop())

	config := scaleConfig(0, all)
	began := time.Now()
	must(t, w.boxes[0].Start(t.Context(), config))
	ready := time.Since(began)
	for _, n := range few {
		forwards(t, w, n)
	}
	t.Logf("%d sessions, %d MiB of TOML: ready after %v, frames of the first, a middle and the last session there after %v",
		manySessions, len(config)>>20, ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	until(t, fmt.Sprintf("at most %d bytes resident a session", mostPerSession), func() (bool, string) {
		perSession := (residentKiB(t, w.boxes[0]) - base) * 1024 / manySessions
		return perSession <= mostPerSession, fmt.Sprint(perSession)
	})
	t.Logf("%d bytes resident a session", (settledKiB(t, w.boxes[0])-base)*1024/manySessions)

	// Listing all of them costs no memory that stays.
	sessions, err := api.NewClient(w.boxes[0].Control).Sessions(t.Context(), api.SessionQuery{})
	must(t, err)
	if len(sessions) != manySessions {
		t.Errorf("show lists %d sessions, want %d", len(sessions), manySessions)
	}
	balanced(t, w.boxes[0])
}

// forwards sends frames of session n from site to site until one arrives.
func forwards(t *testing.T, w *world, n int) {
	t.Helper()
	outer, inner := pairOf(n)
	sink, err := w.sites[1].ReceiveStream("eth0", uint64(n))
	must(t, err)
	defer sink.Close()
	stream := lab.Stream{Run: uint64(n), Dst: stations[1], Src: stations[0], Count: 1, Sizes: []int{60}, Tags: []lab.Tag{{TPID: 0x88a8, TCI: uint16(outer)}, {TPID: 0x8100, TCI: uint16(inner)}}}
	for deadline := time.Now().Add(2 * soon); time.Now().Before(deadline); {
		_, err := w.sites[0].SendStream(t.Context(), "eth0", stream)
		must(t, err)
		if sink.Wait(t.Context(), 1, 100*time.Millisecond).Received > 0 {
			return
		}
	}
	for _, b := range w.boxes {
		out, err := b.Run(t.Context(), "show", "ports")
		t.Logf("%s%v", out, err)
	}
	t.Fatalf("no frame of session %d arrives", n)
}

// settledKiB is the resident memory of a box once it no longer changes.
func settledKiB(t *testing.T, b *lab.Box) int {
	t.Helper()
	last := residentKiB(t, b)
	for range 20 {
		time.Sleep(250 * time.Millisecond)
		now := residentKiB(t, b)
		if now == last {
			break
		}
		last = now
	}
	return last
}
