package config

import (
	"fmt"
	"strings"
)

// suggest returns `; did you mean "x"?` for the known word that is nearest to s, or nothing when
// none is near.
func suggest(s string, known []string) string {
	fold := func(w string) string { return strings.ReplaceAll(strings.ToLower(w), "-", "_") }
	best, at := "", max(2, len(s)/3)+1
	switch {
	case len(s) > 64:
		return ""
	case len(s) <= 3: // two of three letters wrong is another word
		at = 2
	}
	for _, k := range known {
		if len(s) > 2 && strings.HasPrefix(fold(k), fold(s)) || len(k) > 2 && strings.HasPrefix(fold(s), fold(k)) {
			best = k
			break
		}
		if d := distance(fold(s), fold(k)); d < at && d < len(k) {
			best, at = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts the letters to insert, remove, replace or swap with their neighbour that make b
// of a (optimal string alignment).
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
