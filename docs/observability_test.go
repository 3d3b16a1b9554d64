package docs_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/otel"
	"github.com/crhost/crhost/host/observe/prometheus"
)

// The metrics and spans in the tables are those that there are, with their types and labels; queries and alerts ask for none that is not.
func TestObservability(t *testing.T) {
	content, err := os.ReadFile("OBSERVABILITY.md")
	require.NoError(t, err)
	page := string(content)

	want := registered(t)
	got := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|").FindAllStringSubmatch(page, -1) {
		require.NotContains(t, got, row[1], "twice")
		got[row[1]] = row[2] + " " + documentedLabels(row[3])
	}
	require.Equal(t, want, got)
	for _, name := range regexp.MustCompile(prometheus.DefaultPrefix+"_([a-z_]+)").FindAllStringSubmatch(page, -1) {
		if name[1] != "" {
			require.Contains(t, want, strings.TrimSuffix(name[1], "_bucket"), "in a query or an alert")
		}
	}

	var spans []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+\\.[a-z_]+)` \\|").FindAllStringSubmatch(page, -1) {
		spans = append(spans, row[1])
	}
	require.ElementsMatch(t, made(), spans)
}

// documentedLabels are those of a row, sorted.
func documentedLabels(cell string) string {
	labels := []string{"tenant", "module"}
	own, without, _ := strings.Cut(cell, "no ")
	words := regexp.MustCompile("`([a-z]+)`")
	for _, l := range words.FindAllStringSubmatch(without, -1) {
		labels = slices.DeleteFunc(labels, func(s string) bool { return s == l[1] })
	}
	for _, l := range words.FindAllStringSubmatch(own, -1) {
		labels = append(labels, l[1])
	}
	slices.Sort(labels)
	return strings.Join(labels, ",")
}

// registered are the metrics of a host to which everything has happened once, by name: type and labels.
func registered(t *testing.T) map[string]string {
	registry := prom.NewRegistry()
	metrics, err := prometheus.New(prometheus.Config{Registry: registry})
	require.NoError(t, err)
	metrics.Observer().Opened(observe.Opened{Durability: "fsync"})
	hooks := metrics.Observer().ModuleLoaded(observe.Module{
		Tenant: "default", Name: "counter", Actions: []string{"increment"}, EffectKinds: []string{"call"}, Stats: func() observe.ModuleStats { return observe.ModuleStats{} },
	})
	hooks.Sent(t.Context(), &observe.Sent{Code: "rejected"})
	hooks.Trapped(&observe.Trapped{Cause: "fuel"})
	hooks.Rebuilt(&observe.Rebuilt{Cause: "trap"})
	hooks.Halted(&observe.Halted{Code: "diverged"})
	families, err := registry.Gather()
	require.NoError(t, err)
	found := make(map[string]string)
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		found[strings.TrimPrefix(f.GetName(), prometheus.DefaultPrefix+"_")] = strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, ",")
	}
	return found
}

// made are the names of the spans of a send and of an attempt at each kind of effect that has one of its own.
func made() []string {
	exporter := tracetest.NewInMemoryExporter()
	hooks := otel.New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))).ModuleLoaded(observe.Module{})
	ctx := hooks.SendStarted(context.Background(), &observe.SendStart{})
	hooks.Sent(ctx, &observe.Sent{Reduce: time.Second})
	for _, kind := range []string{"call", "append", "publish", "load", "project", "dispatch"} {
		e := observe.EffectStart{Leaf: observe.Leaf{KindName: kind}}
		ctx := hooks.EffectStarted(context.Background(), &e)
		hooks.Performed(ctx, &observe.Performed{EffectStart: e})
	}
	var names []string
	for _, s := range exporter.GetSpans() {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}
