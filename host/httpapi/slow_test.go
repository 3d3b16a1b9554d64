package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
	"github.com/crhost/crhost/host/observe"
)

// A client that takes nothing is disconnected after WriteTimeout; until then it costs its buffers, and the store waits for neither.
func TestStream_clientThatReadsNothing(t *testing.T) {
	for name, request := range map[string]string{
		"events": "GET " + storeURL + "/subscribe HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"socket": "GET " + storeURL + "/subscribe?from=0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var stats func() observe.ModuleStats
			s := serve(t, host.Config{Observer: &observe.Observer{ModuleLoaded: func(m observe.Module) *observe.ModuleHooks { stats = m.Stats; return nil }}},
				httpapi.Config{WriteTimeout: 20 * time.Millisecond})
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.web.URL, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
			_, err = bufio.NewReader(conn).ReadString('\n') // the status line: the subscription stands
			require.NoError(t, err)
			require.Equal(t, 1, stats().Subscribers)
			text := `{"type":"increment"`
			for key := range 14 { // as much as the counter reads
				text += fmt.Sprintf(`,"%d":"%s"`, key, strings.Repeat("x", 250))
			}
			action, err := jsonpack.ToMsgpack(nil, []byte(text+"}"))
			require.NoError(t, err)
			store := s.host.Store(abi.Address{Module: "counter"})
			for stats().Subscribers > 0 { // each fills the client's buffers further
				_, err := store.Send(context.Background(), action)
				require.NoError(t, err)
			}
		})
	}
}
