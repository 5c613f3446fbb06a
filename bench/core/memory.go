package core

import (
	"context"
	"fmt"
	"runtime"
)

// Memory is what a session costs, once with one worker and once with two: the difference is what
// each further worker adds.
type Memory struct {
	Sessions        int     `json:"sessions"`
	Workers         int     `json:"workers"`
	BytesPerSession float64 `json:"memory_bytes_per_session"`
}

// measureMemory builds a table of one end for each large number of sessions, and reads the heap
// before and after.
func (r *Report) measureMemory(ctx context.Context, cases []Case) (map[int]float64, error) {
	perSession := map[int]float64{}
	for _, c := range cases {
		if _, known := perSession[c.Sessions]; known || c.Sessions < 1000 {
			continue
		}
		for workers := 1; workers <= 2; workers++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			before := heap()
			table, err := buildTable(contents{c.Setup, [2]int{c.Sessions}}, workers)
			if err != nil {
				return nil, fmt.Errorf("measure memory of %d sessions: %w", c.Sessions, err)
			}
			bytes := float64(heap()-before) / float64(c.Sessions)
			runtime.KeepAlive(table)
			r.Memory = append(r.Memory, Memory{Sessions: c.Sessions, Workers: workers, BytesPerSession: bytes})
			if workers == 1 {
				perSession[c.Sessions] = bytes
			}
		}
	}
	return perSession, nil
}

// heap is the bytes of live objects.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
