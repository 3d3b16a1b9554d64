package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
)

func ExampleNew() {
	ctx := context.Background()
	h, err := host.Open(ctx, host.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Shutdown(ctx)
	handler, err := httpapi.New(httpapi.Config{Host: h})
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequest(http.MethodGet, "/v1/tenants/default/modules/counter/stores/alice/state", nil)
	r.Host = "127.0.0.1:8420"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// 404 application/problem+json
	// {"title":"Not Found","status":404,"code":"not_found","detail":"tenant default has no module counter","hint":"see what is loaded: crhost modules"}
}
