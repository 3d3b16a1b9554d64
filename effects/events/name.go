package events

import (
	"errors"
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi"
)

// MaxNameBytes is the length of the longest name of a stream, topic or projection: what the longest tenant leaves of a name that all share.
const MaxNameBytes = abi.MaxKeyBytes - len("/") - maxTenantBytes

const maxTenantBytes = 63 // see abi.ValidateName

// ErrName is in errors about names that cannot be ones. It does not say that there is nothing of that name.
var ErrName = errors.New("bad name")

// Scope is the name that a tenant's stream, topic or projection has in what all tenants share. Errors are ErrName with what is wrong.
func Scope(tenant, name string) (string, error) {
	if err := abi.ValidateName("tenant", tenant); err != nil {
		return "", badName(err)
	}
	if len(name) == 0 || len(name) > MaxNameBytes {
		return "", fmt.Errorf("%w: %d bytes, want 1 to %d", ErrName, len(name), MaxNameBytes)
	}
	if err := abi.ValidateKey(name); err != nil {
		return "", badName(err)
	}
	return tenant + "/" + name, nil
}

// Split undoes Scope. ok is false for what Scope did not make.
func Split(scoped string) (tenant, name string, ok bool) {
	tenant, name, ok = strings.Cut(scoped, "/")
	if again, err := Scope(tenant, name); !ok || err != nil || again != scoped {
		return "", "", false
	}
	return tenant, name, true
}

func badName(err error) error {
	return fmt.Errorf("%w: %s", ErrName, strings.TrimPrefix(err.Error(), abi.ErrBadAddress.Error()+": "))
}
