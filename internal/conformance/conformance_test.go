package conformance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/internal/conformance"
)

func TestFindings(t *testing.T) {
	var ran []string
	check := func(name string, crowd bool, run func(conformance.T)) conformance.Check {
		return conformance.Check{Name: name, Crowd: crowd, Run: func(t conformance.T) {
			ran = append(ran, name)
			t.Cleanup(func() { require.Error(t, t.Context().Err(), "the context ends before cleanups") })
			run(t)
		}}
	}
	right := func(t conformance.T) { require.NoError(t, t.Context().Err()) }
	wrong := func(t conformance.T) { require.Fail(t, "wrong"); panic("FailNow returned") }
	for _, bubble := range []bool{true, false} {
		ran = nil
		found := conformance.Findings(t, bubble, []conformance.Check{
			check("a", true, right), check("b", false, right), check("c", false, wrong), check("d", false, right),
		})
		require.Equal(t, []string{"b", "c", "d"}, ran, "crowds come last, and only to what is right")
		conformance.RequireOnly(t, found, "c")
		require.Contains(t, found["c"], "wrong")
	}
	ran = nil
	require.Empty(t, conformance.Findings(t, true, []conformance.Check{check("a", true, right), check("b", false, right)}))
	require.Equal(t, []string{"b", "a"}, ran)
}

func TestRun(t *testing.T) {
	for _, bubble := range []bool{true, false} {
		ran := 0
		conformance.Run(t, bubble, []conformance.Check{{Name: "check", Run: func(t conformance.T) {
			ran++
			if bubble {
				<-time.After(24 * time.Hour)
			}
		}}})
		require.Equal(t, 1, ran)
	}
}
