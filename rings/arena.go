package rings

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugePageSize is the size of the huge pages asked for, in bytes.
const hugePageSize = 2 << 20

// ArenaConfig describes the memory that all ports share.
type ArenaConfig struct {
	ChunkSize int  // bytes a frame, headroom included: 2048 (0 means that) or 4096
	Chunks    int  // frames; rounded up to whole pages
	Spans     int  // room for frames longer than a chunk, of SpanSize bytes each, behind the chunks
	HugePages bool // ask for huge pages, do with ordinary ones if there are none to be had
}

// Arena is the memory in which all frames lie. It is backed by a memfd, so that another process
// can be given the same memory. It stays mapped until Close, which must come after the last
// fabric that uses it is closed.
type Arena struct {
	mem   []byte
	fd    int
	chunk int
	shift uint
	spans int
	huge  bool
}

// NewArena makes an arena. All of it is populated at once.
func NewArena(cfg ArenaConfig) (*Arena, error) {
	if cfg.ChunkSize == 0 {
		cfg.ChunkSize = 2048
	}
	shift := uint(11)
	switch cfg.ChunkSize {
	case 2048:
	case 4096:
		shift = 12
	default:
		return nil, fmt.Errorf("make arena: chunk size %d is neither 2048 nor 4096", cfg.ChunkSize)
	}
	if cfg.Chunks <= 0 || cfg.Chunks > 1<<24 {
		return nil, fmt.Errorf("make arena: %d chunks is outside 1..%d", cfg.Chunks, 1<<24)
	}
	if cfg.Spans < 0 || cfg.Spans > 1<<20 {
		return nil, fmt.Errorf("make arena: %d spans is outside 0..%d", cfg.Spans, 1<<20)
	}
	a := &Arena{fd: -1, chunk: cfg.ChunkSize, shift: shift, spans: cfg.Spans}
	size := cfg.Chunks*cfg.ChunkSize + cfg.Spans*SpanSize
	if cfg.HugePages {
		// Pages that the administrator has set aside, or else what the kernel can put together.
		if a.populate(size, hugePageSize, unix.MFD_HUGETLB|unix.MFD_HUGE_2MB) == nil {
			a.huge = true
			return a, nil
		}
		if a.populate(size, hugePageSize, 0) == nil {
			a.huge = unix.Madvise(a.mem, unix.MADV_COLLAPSE) == nil
			return a, nil
		}
	}
	if err := a.populate(size, unix.Getpagesize(), 0); err != nil {
		return nil, fmt.Errorf("make arena of %d bytes: %w", size, err)
	}
	return a, nil
}

func (a *Arena) populate(size, page, flags int) error {
	size = (size + page - 1) / page * page
	fd, err := unix.MemfdCreate("xwire-arena", unix.MFD_CLOEXEC|flags)
	if err != nil {
		return fmt.Errorf("create memfd: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return fmt.Errorf("size memfd: %w", err)
	}
	mem, err := mapAligned(fd, uintptr(size), uintptr(page))
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("map memfd: %w", err)
	}
	a.mem, a.fd = mem, fd
	return nil
}

// Memory is the whole arena. Chunk i begins at i*ChunkSize.
func (a *Arena) Memory() []byte { return a.mem }

// FD is the memfd behind the arena. It closes on exec unless the caller changes that.
func (a *Arena) FD() int { return a.fd }

// ChunkSize is the size of a chunk in bytes.
func (a *Arena) ChunkSize() int { return a.chunk }

// Chunks is the number of chunks, those of spans included.
func (a *Arena) Chunks() int { return len(a.mem) >> a.shift }

// Spans is where in the memory the spans begin, and how many there are.
func (a *Arena) Spans() (from uint64, n int) {
	return uint64(len(a.mem) - a.spans*SpanSize), a.spans
}

// HugePages tells whether the arena lies in huge pages.
func (a *Arena) HugePages() bool { return a.huge }

// Close unmaps the arena.
func (a *Arena) Close() error {
	if a.mem == nil {
		return nil
	}
	err := unmap(a.mem)
	a.mem = nil
	if cerr := unix.Close(a.fd); err == nil {
		err = cerr
	}
	return err
}
