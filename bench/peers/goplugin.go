package peers

import (
	"context"
	"errors"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/crhost/crhost/bench/counter"
	"github.com/crhost/crhost/bench/goplugin"
)

// goPluginSide is a process that go-plugin started, and a connection to it over a socket of this machine.
type goPluginSide struct {
	process *plugin.Client
	client  *goplugin.Client
	action  []byte
}

var _ side = (*goPluginSide)(nil)

func openGoPlugin(_ context.Context, file string) (*goPluginSide, error) {
	s := &goPluginSide{
		action: counter.Increment(By),
		process: plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig:  goplugin.Handshake(),
			Plugins:          goplugin.Plugins(),
			Cmd:              exec.Command(file),
			AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
			Logger:           hclog.NewNullLogger(),
		}),
	}
	protocol, err := s.process.Client()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	dispensed, err := protocol.Dispense(goplugin.Name)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.client = dispensed.(*goplugin.Client)
	return s, nil
}

func (s *goPluginSide) run(ctx context.Context, n int) error {
	for range n {
		if err := s.client.Reduce(ctx, s.action); err != nil {
			return err
		}
	}
	return nil
}

func (s *goPluginSide) count(ctx context.Context) (int64, error) {
	state, err := s.client.Read(ctx)
	if err != nil {
		return 0, err
	}
	return counter.Count(state)
}

// errAlive says that the plug-in process outlived its end.
var errAlive = errors.New("the plug-in process is still alive")

// close asks the process to end, kills it when it does not, and waits for it.
func (s *goPluginSide) close() error {
	s.process.Kill()
	if !s.process.Exited() {
		return errAlive
	}
	return nil
}
