package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/otel"
	"github.com/crhost/crhost/host/observe/prometheus"
	observeslog "github.com/crhost/crhost/host/observe/slog"
)

// watchers are what looks at a host while it serves: metrics, a log, and traces when the environment asks for them.
type watchers struct {
	observer *observe.Observer
	metrics  http.Handler
	context  func(*http.Request) context.Context // takes up the caller's trace; nil without traces
	trouble  func(error)                         // told of what the journal goes on from
	close    func()
}

func (s *server) watch(ctx context.Context) (*watchers, error) {
	metrics, err := prometheus.New(prometheus.Config{Prefix: s.flags.metricsPrefix})
	if err != nil {
		return nil, usage("for example: --metrics-prefix "+prometheus.DefaultPrefix, "%s", err)
	}
	w := &watchers{metrics: metrics.Handler(), close: func() {}, trouble: func(error) {}}
	observers := []*observe.Observer{metrics.Observer()}
	if s.flags.logLevel != "off" {
		logger, err := s.logger()
		if err != nil {
			return nil, err
		}
		observers = append(observers, observeslog.New(logger))
		w.trouble = func(err error) { logger.Error("journal", "err", err) }
	}
	tracing, err := s.tracing()
	if err != nil {
		return nil, err
	}
	if tracing {
		provider, err := newProvider(ctx)
		if err != nil {
			return nil, fmt.Errorf("start the export of traces: %w", err)
		}
		observers = append(observers, otel.New(provider))
		w.context = func(r *http.Request) context.Context {
			return propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		}
		w.close = func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.flags.shutdownTimeout)
			defer cancel()
			if err := provider.Shutdown(ctx); err != nil {
				fmt.Fprintf(s.stderr, "crhost: the last traces are lost: %s\n", err)
			}
		}
	}
	w.observer = observe.Tee(observers...)
	return w, nil
}

func (s *server) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.flags.logLevel)); err != nil {
		return nil, usage("for example: --log-level warn", "--log-level %q is not debug, info, warn, error or off", s.flags.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.flags.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(s.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.stderr, options)), nil
	}
	return nil, usage("for example: --log-format json", "--log-format %q is neither text nor json", s.flags.logFormat)
}

// tracing reports whether the environment asks for traces, with OpenTelemetry's own variables. The rest of those the exporter reads itself.
func (s *server) tracing() (bool, error) {
	switch exporter := s.getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	case "":
		return s.getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || s.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	default:
		return false, usage("OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_EXPORTER=%q is neither otlp nor none", exporter)
	}
}

func newProvider(ctx context.Context) (*trace.TracerProvider, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	return trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about)), nil
}
