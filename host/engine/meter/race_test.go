//go:build race

package meter

// underRace says whether the race detector is on. It slows a compiler down tenfold and has nothing to find in one that runs alone.
const underRace = true
