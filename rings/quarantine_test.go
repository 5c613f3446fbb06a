package rings

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a driver does not let go of is used for nothing else until it has.
func TestRetainedFramesAreQuarantined(t *testing.T) {
	queues := []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for _, running := range []bool{false, true} {
		f := newFakeFabric(t, 2, FabricConfig{})
		a := f.port(PortConfig{Index: 0, Queues: []uint32{0, 1}}, nil)
		b := f.port(PortConfig{Index: 1, Queues: queues}, nil)
		if running {
			start(t, f.Fabric)
		}
		b.mode = ModeZeroCopy
		b.Retain(true)
		began := time.Now()
		err := f.RemovePort(b.Port)
		if !errors.Is(err, unix.EBUSY) {
			t.Errorf("port closed: %v, want EBUSY", err)
		}
		if took := time.Since(began); took >= time.Duration(len(queues))*bindPatience {
			t.Errorf("the queues were waited for in turn: %v", took)
		}
		receiving := len(queues) * 128 // all fill rings
		if audit := checkAudit(t, f.Fabric); audit.Quarantine != receiving || f.Quarantined() != receiving {
			t.Errorf("%d frames in quarantine by the audit, %d by count, want %d", audit.Quarantine, f.Quarantined(), receiving)
		}
		b.Retain(false)
		b = f.port(PortConfig{Index: 1, Queues: queues}, nil)
		if audit := checkAudit(t, f.Fabric); audit.Quarantine != 0 || f.Quarantined() != 0 {
			t.Errorf("%d frames stay in quarantine", audit.Quarantine)
		}
		checkEquation(t, a.Port, b.Port)
	}
}

// Frames that are kept from the pool are none that a port may count on.
func TestQuarantineCountsAgainstTheArena(t *testing.T) {
	small := Sizing{Workers: 1, Queues: []uint32{128, 128}}.Chunks()
	f := newFakeFabric(t, 1, FabricConfig{Arena: newTestArena(t, ArenaConfig{Chunks: small})})
	f.port(PortConfig{Index: 0}, nil)
	b := f.port(PortConfig{Index: 1}, nil)
	b.mode = ModeZeroCopy
	b.Retain(true)
	if err := f.RemovePort(b.Port); err == nil {
		t.Fatal("no error")
	}
	if _, err := f.AddFake(PortConfig{Index: 1, RingSize: 128}, nil); err == nil {
		t.Error("a port counts on frames that a driver has")
	}
	b.Retain(false)
	f.port(PortConfig{Index: 1}, nil)
	checkAudit(t, f.Fabric)
}

// Descriptors that are closed once may be another's the next time.
func TestCloseTwice(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	f.port(PortConfig{Index: 0}, nil)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	again := f.workers[0].eventfd
	if fd != again {
		if err := unix.Dup3(fd, again, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(again)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(uintptr(again), unix.F_GETFD, 0); err != nil {
		t.Errorf("the second Close closed a descriptor of somebody else: %v", err)
	}
}
