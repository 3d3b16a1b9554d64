package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/httpapi"
)

type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Parameters  []struct {
			Name, In, Description string
			Required              bool
			Schema                map[string]any
		}
		RequestBody *struct{ Content map[string]any }
		Responses   map[string]struct {
			Description string
			Content     map[string]any
		}
	}
	Components struct{ Schemas map[string]any }
}

func read(t *testing.T, h http.Handler) (document, string) {
	w := get(h, "/openapi.json")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "application/openapi+json", w.Header().Get("Content-Type"))
	var d document
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	return d, w.Body.String()
}

// The document is one of OpenAPI 3.1: what a validator would look at first.
func TestOpenAPI_valid(t *testing.T) {
	d, text := read(t, open(t, httpapi.Config{Metrics: http.NotFoundHandler()}))
	require.Equal(t, "3.1.0", d.OpenAPI)
	require.Equal(t, "crhost", d.Info.Title)
	ids := map[string]bool{}
	for path, item := range d.Paths {
		var inPath []string
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			inPath = append(inPath, m[1])
		}
		for method, op := range item {
			name := method + " " + path
			require.NotEmpty(t, op.OperationID, name)
			require.False(t, ids[op.OperationID], "operation %s twice", op.OperationID)
			ids[op.OperationID] = true
			require.NotEmpty(t, op.Summary, name)
			var documented []string
			for _, p := range op.Parameters {
				require.NotEmpty(t, p.Description, "%s: %s", name, p.Name)
				require.Contains(t, p.Schema, "type", "%s: %s", name, p.Name)
				if p.In == "path" {
					require.True(t, p.Required)
					documented = append(documented, p.Name)
				}
			}
			require.Equal(t, inPath, documented, name)
			require.Contains(t, op.Responses, "default", name)
			require.Contains(t, op.Responses["default"].Content, "application/problem+json", name)
			require.True(t, slices.ContainsFunc([]string{"200", "204"}, func(s string) bool { _, ok := op.Responses[s]; return ok }), name)
			bare := []string{"resume", "retryDeadletter", "retryDeadletters", "openBreaker", "closeBreaker", "autoBreaker"}
			require.Equal(t, method == "put" || method == "post" && !slices.Contains(bare, op.OperationID), op.RequestBody != nil, name)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1) {
		require.Contains(t, d.Components.Schemas, ref[1])
	}
}

// Every operation of the document is routed, to itself, and every route that the design names is in the document.
func TestOpenAPI_isTheRoutes(t *testing.T) {
	h := open(t, httpapi.Config{Metrics: http.NotFoundHandler()})
	d, _ := read(t, h)
	var got []string
	for path, item := range d.Paths {
		for method := range item {
			got = append(got, strings.ToUpper(method)+" "+path)
			// A parameter that no route has shows that a route took it: anything else answers 404 or 405.
			r := httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path)+"?no-such-parameter=1", nil)
			r.Host = "localhost"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, 400, w.Code, "%s %s: %s", method, path, w.Body)
			require.Contains(t, w.Body.String(), "no-such-parameter")
		}
	}
	const tenant = "/v1/tenants/{tenant}"
	const module, store = tenant + "/modules/{module}", tenant + "/modules/{module}/stores/{key}"
	require.ElementsMatch(t, []string{
		"POST " + store + "/actions", "GET " + store + "/actions", "GET " + store + "/actions/{seq}",
		"GET " + store + "/state", "GET " + store + "/subscribe", "POST " + store + "/resume", "DELETE " + store,
		"GET " + module + "/stores", "GET " + module, "DELETE " + module, "GET /v1/modules",
		"POST " + module + "/versions", "GET " + module + "/versions", "GET " + module + "/deploys/{id}",
		"GET " + store + "/effects", "GET " + tenant + "/deadletters", "GET " + tenant + "/deadletters/{id}", "DELETE " + tenant + "/deadletters/{id}",
		"POST " + tenant + "/deadletters/{id}/retry", "POST " + tenant + "/deadletters/retry",
		"GET " + tenant + "/breakers", "POST " + tenant + "/breakers/{target}/open", "POST " + tenant + "/breakers/{target}/close",
		"POST " + tenant + "/breakers/{target}/auto",
		"GET " + tenant + "/policies", "GET " + tenant + "/policies/{name}", "PUT " + tenant + "/policies/{name}", "DELETE " + tenant + "/policies/{name}",
		"GET /healthz", "GET /readyz", "GET /v1/health", "GET /metrics",
	}, got)
}
