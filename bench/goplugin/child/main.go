// Package main is the plug-in process: a counter in native Go behind hashicorp/go-plugin. A host starts it; it does nothing when it is started by hand.
package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/crhost/crhost/bench/goplugin"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: goplugin.Handshake(),
		Plugins:         goplugin.Plugins(),
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
}
