//go:build !race

package rings

const raceDetector = false
