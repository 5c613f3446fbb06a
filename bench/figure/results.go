package figure

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Results is a file of bench/results: what benchstat reads of it.
type Results struct {
	Header map[string]string // "cpu", "kernel", "mode"
	names  []string
	values map[string]map[string][]float64 // by name without "Benchmark", then by unit
}

// ReadResults reads the lines that benchstat reads, and "# " lines as headers "command" and "date".
func ReadResults(r io.Reader) (*Results, error) {
	res := &Results{Header: map[string]string{}, values: map[string]map[string][]float64{}}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		if comment, ok := strings.CutPrefix(line, "# "); ok {
			key := "command"
			if _, there := res.Header[key]; there {
				key = "date"
			}
			res.Header[key] = comment
			continue
		}
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			if key, value, ok := strings.Cut(line, ": "); ok && !strings.ContainsAny(key, " \t") {
				res.Header[key] = value
			}
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if res.values[name] == nil {
			res.values[name] = map[string][]float64{}
			res.names = append(res.names, name)
		}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", line, err)
			}
			res.values[name][f[i+1]] = append(res.values[name][f[i+1]], v)
		}
	}
	return res, in.Err()
}

// Rounds returns the values of a name in a unit, in the order of the rounds; nil: it was not measured.
func (r *Results) Rounds(name, unit string) []float64 { return r.values[name][unit] }

// Ratios divides two names round by round: both of a round met the machine in the same state.
func Ratios(of, to []float64) (ratios []float64) {
	for i := range min(len(of), len(to)) {
		if to[i] != 0 {
			ratios = append(ratios, of[i]/to[i])
		}
	}
	return ratios
}
