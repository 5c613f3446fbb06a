//go:build race

package rings

// raceDetector makes everything slower by so much that long tests are cut short.
const raceDetector = true
