package httpcall_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/httpcall"
)

func Example() {
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"))
		fmt.Fprint(w, "paid")
	}))
	defer bank.Close()
	h := httpcall.New(httpcall.Config{
		Private: func(store abi.Address, host string) bool { return store.Tenant == "acme" },
		Secret:  func(tenant, name string) (string, bool) { return "s3cret", tenant == "acme" && name == "bank" },
	})
	defer h.Close()

	arguments, _ := msgpack.Marshal(map[string]any{
		"method": "POST", "url": bank.URL + "/charge", "headers": map[string]string{"authorization": "Bearer {{secret:bank}}"},
	})
	call := &abi.Effect{Kind: abi.KindCall, Target: "http:" + bank.Listener.Addr().String(), Body: arguments, OK: "charged"}
	result, err := h.Do(context.Background(), &effects.Request{
		Key: effects.Key([16]byte{}, 7, 0), Store: abi.Address{Tenant: "acme", Module: "orders", Key: "1"}, Effect: call,
	})
	fmt.Println(err)
	action, _ := effects.Completed(call, result, abi.DefaultActionBytes)
	var fedBack map[string]any
	msgpack.Unmarshal(action, &fedBack)
	fmt.Printf("%s: %d %s\n", fedBack["type"], fedBack["status"], fedBack["body"])
	// Output:
	// POST /charge 00000000000000000000000000000000/7/0 Bearer s3cret
	// <nil>
	// charged: 200 paid
}
