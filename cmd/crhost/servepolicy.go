package main

import (
	"strings"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/httpapi"
)

// readPolicies reads the files of --policy. A policy's name may have a = in it, a file's may not.
func (s *server) readPolicies() (map[string]host.Policy, error) {
	found := map[string]host.Policy{}
	for _, arg := range s.flags.policies {
		at := strings.LastIndexByte(arg, '=')
		if at <= 0 || at == len(arg)-1 {
			return nil, usage("for example: --policy call=http:api.example.com=policy.json", "--policy %q is not NAME=FILE.json", arg)
		}
		name, file := arg[:at], arg[at+1:]
		if _, twice := found[name]; twice {
			return nil, usage("leave one away", "--policy %s is there twice", name)
		}
		body, err := s.readFile(file)
		if err != nil {
			return nil, unreadable(file, err)
		}
		p, err := httpapi.ReadPolicy(body)
		if err != nil {
			return nil, usage(`a policy is JSON, such as {"retry":{"retries":2},"breaker":{"open":"10s"}}`, "%s: %s", file, err)
		}
		found[name] = p.Host()
	}
	return found, nil
}
