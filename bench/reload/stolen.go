package reload

import (
	"fmt"
	"os"
)

// userHz is the unit of /proc/stat, the same on all architectures that Go runs on.
const userHz = 100

// stolenSince reads how many seconds the hypervisor has kept from all CPUs, beyond so many.
func stolenSince(before float64) (float64, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read stolen time: %w", err)
	}
	defer f.Close()
	var user, nice, system, idle, wait, irq, softirq, steal float64
	if _, err := fmt.Fscanf(f, "cpu %f %f %f %f %f %f %f %f", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal); err != nil {
		return 0, fmt.Errorf("read stolen time in /proc/stat: %w", err)
	}
	return steal/userHz - before, nil
}
