//go:build race

package memory

// raceDetector maps and fills shadow memory of its own, several bytes for each that the program touches.
const raceDetector = true
