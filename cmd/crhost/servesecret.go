package main

import (
	"regexp"
	"runtime"
	"strings"

	"github.com/crhost/crhost/abi"
)

// secretID names a secret; an empty tenant is all of them.
type secretID struct{ tenant, name string }

// secrets are the values of secrets, from files.
type secrets map[secretID]string

// lookup finds a secret of a tenant, its own before that of all.
func (s secrets) lookup(tenant, name string) (string, bool) {
	if v, ok := s[secretID{tenant, name}]; ok {
		return v, true
	}
	v, ok := s[secretID{"", name}]
	return v, ok
}

var secretName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// readSecrets reads the files of --secret. No error shows what is in them.
func (s *server) readSecrets() (secrets, error) {
	found := secrets{}
	for _, arg := range s.flags.secrets {
		path, file, ok := strings.Cut(arg, "=")
		var id secretID
		tenant, name, own := strings.Cut(path, "/")
		if id.name = path; own {
			id = secretID{tenant, name}
		}
		if !ok || file == "" || !secretName.MatchString(id.name) || own && abi.ValidateName("tenant", tenant) != nil {
			return nil, usage("for example: --secret stripe=stripe.key, or for one tenant: --secret acme/stripe=stripe.key",
				"--secret %q is not NAME=FILE or TENANT/NAME=FILE", arg)
		}
		if _, twice := found[id]; twice {
			return nil, usage("leave one away", "--secret %s is there twice", path)
		}
		value, err := s.readSecret(file)
		if err != nil {
			return nil, err
		}
		found[id] = value
	}
	return found, nil
}

// readSecret is a file's content without its last newline.
func (s *server) readSecret(file string) (string, error) {
	info, err := s.stat(file)
	if err == nil && info.IsDir() {
		return "", usage("name a file in it", "%s is a directory", file)
	}
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return "", &failure{
			exit: exitNotAllowed, detail: file + ": a secret that everybody on this machine can get at (mode " + info.Mode().Perm().String() + ")",
			hint: "chmod o-rwx " + file,
		}
	}
	var b []byte
	if err == nil {
		b, err = s.readFile(file)
	}
	if err != nil {
		f := unreadable(file, err).(*failure)
		if f.hint != "" {
			f.hint = "is the path right?"
		}
		return "", f
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case value == "":
		return "", usage("write the secret into it", "%s: the secret is empty", file)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", usage("a secret is one line, and a newline", "%s: the secret has control characters, and could be in no header", file)
	}
	return value, nil
}
