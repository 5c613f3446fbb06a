package appliance

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// allowedCPUs lists the CPUs that the process may run on, in order.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// numaCPUs lists the CPUs of a NUMA node; empty where the machine does not tell.
func numaCPUs(node int) []int {
	if node < 0 {
		return nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", node))
	if err != nil {
		return nil
	}
	return parseCPUList(strings.TrimSpace(string(text)))
}

// parseCPUList reads the kernel's "0-3,8" form; parts that are not of it are passed over.
func parseCPUList(list string) []int {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		lo, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		hi := lo
		if ranged {
			if hi, err = strconv.Atoi(last); err != nil {
				continue
			}
		}
		for cpu := lo; cpu <= hi; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// chooseCPUs gives one CPU for each worker: those configured, or one for each queue of the widest
// core port, on the NIC's node, leaving the first CPU to the rest of the machine where there are
// two or more. CPUs may repeat in a configuration, so that many workers can be tried on few cores.
func chooseCPUs(configured, allowed, near []int, queues int) ([]int, error) {
	if len(configured) > 0 {
		for _, cpu := range configured {
			if !slices.Contains(allowed, cpu) {
				return nil, fmt.Errorf("use CPU %d: this process may run on CPUs %v only", cpu, allowed)
			}
		}
		return configured, nil
	}
	free := allowed
	if len(allowed) > 1 {
		free = allowed[1:]
	}
	local := slices.DeleteFunc(slices.Clone(free), func(cpu int) bool { return !slices.Contains(near, cpu) })
	if len(local) > 0 {
		free = local
	}
	return free[:min(max(queues, 1), len(free))], nil
}
