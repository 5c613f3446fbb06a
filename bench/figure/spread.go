package figure

import "slices"

// Median returns the middle value, the mean of the two in the middle, or 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// SpreadPercent returns the distance between the largest and the smallest value in percent of the
// median: the whole range, nothing left out.
func SpreadPercent(values []float64) float64 {
	m := Median(values)
	if m == 0 {
		return 0
	}
	return 100 * (slices.Max(values) - slices.Min(values)) / m
}
