package httpapi

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/coder/websocket"

	"github.com/crhost/crhost/abi"
)

// statusCanceled is what a request answers whose client went away; nobody reads it but the access log. The number is nginx's.
const statusCanceled = 499

// answer is how a code shows at this door.
type answer struct {
	status int
	close  websocket.StatusCode // 3000-3499: reconnect; 3500-3999: do not
	retry  int                  // seconds for Retry-After; 0 = none
}

// answers gives every code its status and its close code; a test checks that it is total.
func answers() map[abi.Code]answer {
	return map[abi.Code]answer{
		abi.CodeRejected:       {status: http.StatusConflict, close: 3500},
		abi.CodeBadAction:      {status: http.StatusUnprocessableEntity, close: 3501},
		abi.CodeMalformed:      {status: http.StatusBadRequest, close: 3502},
		abi.CodeTooLarge:       {status: http.StatusRequestEntityTooLarge, close: 3503},
		abi.CodeUnknownAction:  {status: http.StatusUnprocessableEntity, close: 3504},
		abi.CodeInternalAction: {status: http.StatusUnprocessableEntity, close: 3505},
		abi.CodeBadAddress:     {status: http.StatusBadRequest, close: 3506},
		abi.CodeBadRequest:     {status: http.StatusBadRequest, close: 3507},

		abi.CodeIdempotencyMismatch: {status: http.StatusUnprocessableEntity, close: 3508},

		abi.CodeTrapped:          {status: http.StatusUnprocessableEntity, close: 3510},
		abi.CodeInvalidEffect:    {status: http.StatusUnprocessableEntity, close: 3511},
		abi.CodeCascade:          {status: http.StatusUnprocessableEntity, close: 3513},
		abi.CodeUndeclaredEffect: {status: http.StatusUnprocessableEntity, close: 3512},

		abi.CodeNotFound:        {status: http.StatusNotFound, close: 3520},
		abi.CodeHalted:          {status: http.StatusServiceUnavailable, close: 3000, retry: 10},
		abi.CodeDiverged:        {status: http.StatusServiceUnavailable, close: 3001, retry: 10},
		abi.CodeStateUnreadable: {status: http.StatusServiceUnavailable, close: 3002, retry: 10},
		abi.CodeTrapping:        {status: http.StatusServiceUnavailable, close: 3003, retry: 1},
		abi.CodeOverloaded:      {status: http.StatusTooManyRequests, close: 3004, retry: 1},
		abi.CodeNever:           {status: http.StatusGone, close: 3521},
		abi.CodeTimeout:         {status: http.StatusGatewayTimeout, close: 3005},

		abi.CodeShuttingDown:   {status: http.StatusServiceUnavailable, close: 3010, retry: 1},
		abi.CodeBatchFailed:    {status: http.StatusServiceUnavailable, close: 3011, retry: 1},
		abi.CodeStorageFull:    {status: http.StatusInsufficientStorage, close: 3015, retry: 30},
		abi.CodeUnknownOutcome: {status: http.StatusInternalServerError, close: 3012},
		abi.CodeInternal:       {status: http.StatusInternalServerError, close: 3013},
		abi.CodeCanceled:       {status: statusCanceled, close: 3014},

		abi.CodeBadModule:     {status: http.StatusUnprocessableEntity, close: 3530},
		abi.CodeSchemaChanged: {status: http.StatusConflict, close: 3531},
		abi.CodeBusy:          {status: http.StatusConflict, close: 3020},

		abi.CodeForeignOrigin:        {status: http.StatusForbidden, close: 3540},
		abi.CodeUnsupportedMediaType: {status: http.StatusUnsupportedMediaType, close: 3541},
		abi.CodeMethodNotAllowed:     {status: http.StatusMethodNotAllowed, close: 3542},
	}
}

// place is what a request is about, for hints. Parts that it does not name are empty.
type place struct {
	about               about
	tenant, module, key string
}

// command is a command line about the module, with what follows its name.
func (p place) command(verb, rest string) string {
	line := strings.TrimRight("crhost "+verb+" "+p.module, " ") + rest
	return p.ofTenant(line)
}

// ofTenant is a command line with the tenant, if it is not the default.
func (p place) ofTenant(line string) string {
	if p.tenant != "" && p.tenant != abi.DefaultTenant {
		line += " --tenant " + p.tenant
	}
	return line
}

// storeCommand is a command line about the store.
func (p place) storeCommand(verb string) string {
	a := abi.Address{Tenant: p.tenant, Module: p.module, Key: p.key}.String()
	if strings.ContainsFunc(a, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/-_.:@%+=", r)
	}) {
		a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'" // for a shell
	}
	return "crhost " + verb + " " + a
}

// hint says what to do about a code: a command to type wherever there is one.
func hint(code abi.Code, at place) string {
	switch code {
	case abi.CodeRejected:
		if at.key != "" {
			return "look at the state: " + at.storeCommand("state")
		}
	case abi.CodeUnknownAction, abi.CodeInternalAction, abi.CodeBadAction:
		return "see what the module takes: " + at.command("modules", "")
	case abi.CodeMalformed:
		if at.about == aboutPolicy {
			return "see how a policy looks: " + at.ofTenant("crhost policy list -o json")
		}
		return `an action is an object with a type, such as {"type":"increment","by":3}`
	case abi.CodeBadAddress:
		return "an address is MODULE, MODULE/KEY or TENANT/MODULE/KEY; in a URL the key is one escaped segment"
	case abi.CodeNotFound:
		if at.about != "" {
			return "see which there are: " + at.ofTenant("crhost "+string(at.about))
		}
		if at.key != "" {
			return "see which stores there are: " + at.command("stores", "")
		}
		return "see what is loaded: crhost modules"
	case abi.CodeIdempotencyMismatch:
		return "send it with a key of its own; look at the earlier one: " + at.storeCommand("history")
	case abi.CodeTrapped, abi.CodeInvalidEffect:
		return "the state is as it was; try the module by itself: crhost inspect FILE.wasm --conformance"
	case abi.CodeCascade:
		return "look what causes what: " + at.storeCommand("history")
	case abi.CodeUndeclaredEffect:
		return "name the effect in the module's manifest, or grant it: " + at.command("deploy", " FILE.wasm --grant EFFECT=TARGET")
	case abi.CodeHalted, abi.CodeDiverged:
		return "once the cause is gone: " + at.storeCommand("resume")
	case abi.CodeStateUnreadable:
		return "deploy a revision that can read the state: " + at.command("deploy", " FILE.wasm")
	case abi.CodeTrapping, abi.CodeOverloaded, abi.CodeBatchFailed, abi.CodeShuttingDown:
		return "try again in a moment"
	case abi.CodeStorageFull:
		return "make room on the disk of the host's --data; it goes on by itself"
	case abi.CodeNever, abi.CodeTimeout, abi.CodeUnknownOutcome:
		if at.key != "" {
			return "see what was accepted: " + at.storeCommand("history")
		}
		return "try again"
	case abi.CodeBadModule:
		return "look into it: crhost inspect FILE.wasm"
	case abi.CodeSchemaChanged:
		return "keep the schema number, or deploy it as another module"
	case abi.CodeBusy:
		return "wait for the other deploy: " + at.command("versions", "")
	case abi.CodeForeignOrigin:
		return "use a loopback address, or start the host with: crhost serve --host NAME"
	case abi.CodeUnsupportedMediaType:
		return "set Content-Type"
	case abi.CodeMethodNotAllowed:
		return "every route is described in /openapi.json"
	}
	return ""
}
