package httpapi

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// Value is one msgpack value that is JSON on the wire; jsonpack says how the one becomes the other.
type Value []byte

// MarshalJSON is jsonpack.ToJSON; no bytes are null.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v) == 0 {
		return []byte("null"), nil
	}
	return jsonpack.ToJSON(nil, v)
}

// UnmarshalJSON is jsonpack.ToMsgpack.
func (v *Value) UnmarshalJSON(b []byte) (err error) {
	*v, err = jsonpack.ToMsgpack(nil, b)
	return err
}

// Schema says for the OpenAPI document that a value is anything.
func (Value) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "Any value. Binary is {\"$bin\":\"base64\"}, a time {\"$time\":\"RFC 3339\"}."}
}

// Receipt says that an action was accepted and is durable.
type Receipt struct {
	Seq         uint64  `json:"seq" doc:"The action's number in its store, from 1."`
	Revision    string  `json:"revision" doc:"The revision that reduced it."`
	Correlation string  `json:"correlation" doc:"The id that it shares with everything it causes."`
	Replayed    bool    `json:"replayed,omitempty" doc:"The action was accepted earlier, under the same Idempotency-Key."`
	Matched     *Action `json:"matched,omitempty" doc:"With wait_for: the action that was waited for."`
}

// Action is a committed action.
type Action struct {
	Seq         uint64    `json:"seq" doc:"Its number in its store."`
	Time        time.Time `json:"time" doc:"When it was reduced."`
	Action      Value     `json:"action" doc:"The action, its type included."`
	Revision    string    `json:"revision" doc:"The revision that reduced it."`
	Cause       string    `json:"cause" doc:"What it came from." enum:"command,feedback,timer,dispatch"`
	Correlation string    `json:"correlation" doc:"The id that it shares with everything of the same origin."`
	Principal   string    `json:"principal,omitempty" doc:"Who sent it."`
	Fuel        uint64    `json:"fuel" doc:"What reducing it used."`
}

// History is a part of a store's committed actions, in order.
type History struct {
	Actions []Action `json:"actions"`
	Gap     *Gap     `json:"gap,omitempty" doc:"What was asked for and is not kept any more."`
	Next    uint64   `json:"next,omitempty" doc:"Ask again from here for the rest; absent when there is none."`
}

// Gap is a range of actions, both ends included.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// State is a store's state after action Seq.
type State struct {
	Seq      uint64 `json:"seq" doc:"The last action that the state has seen."`
	Revision string `json:"revision" doc:"The revision that encoded it."`
	State    Value  `json:"state"`
}

// Store is one line of a list of stores.
type Store struct {
	Address     string `json:"address" doc:"tenant/module/key"`
	Key         string `json:"key"`
	Seq         uint64 `json:"seq" doc:"The last action."`
	Revision    string `json:"revision"`
	Halted      string `json:"halted,omitempty" doc:"Why the store accepts nothing: a code."`
	Resident    bool   `json:"resident" doc:"Whether a guest holds its state decoded."`
	Incarnation string `json:"incarnation" doc:"Which life of the key this is."`
}

// Stores is a list of stores in key order.
type Stores struct {
	Stores []Store `json:"stores"`
	Next   string  `json:"next,omitempty" doc:"Ask again after this key for the rest; absent when there is none."`
}

// Module is a loaded module.
type Module struct {
	Tenant    string          `json:"tenant"`
	Module    string          `json:"module"`
	Revision  string          `json:"revision" doc:"The active revision."`
	Digest    string          `json:"digest" doc:"Of the module's bytes."`
	Schema    uint32          `json:"schema" doc:"The number of the state's schema."`
	Stores    int             `json:"stores" doc:"Stores in memory."`
	Residents int             `json:"residents" doc:"Stores whose state a guest holds decoded."`
	Actions   []ActionType    `json:"actions" doc:"What the module takes."`
	Effects   []EffectPattern `json:"effects,omitempty" doc:"What the module may cause."`
}

// ActionType is an action type of a module.
type ActionType struct {
	Type string `json:"type"`
	Kind string `json:"kind" enum:"command,internal" doc:"Callers may send commands only."`
	Doc  string `json:"doc,omitempty"`
}

// EffectPattern is an effect kind that a module may emit, with its targets.
type EffectPattern struct {
	Kind    string   `json:"kind"`
	Targets []string `json:"targets,omitempty"`
}

// Modules is a list of modules, sorted by tenant and name.
type Modules struct {
	Modules []Module `json:"modules"`
}

// Version is a revision of a module.
type Version struct {
	Revision string    `json:"revision"`
	Digest   string    `json:"digest" doc:"Of the module's bytes."`
	Schema   uint32    `json:"schema" doc:"The number of the state's schema."`
	Active   bool      `json:"active" doc:"Whether new actions go to it."`
	Deployed time.Time `json:"deployed"`
	Bytes    int       `json:"bytes" doc:"Size of the module."`
	Stores   int       `json:"stores" doc:"Stores in memory that belong to it."`
}

// Versions is the list of a module's revisions, oldest first.
type Versions struct {
	Versions []Version `json:"versions"`
}

// Deployed is how a deploy ended.
type Deployed struct {
	Tenant   string `json:"tenant"`
	Module   string `json:"module"`
	Revision string `json:"revision" doc:"The revision that is active now."`
	Digest   string `json:"digest" doc:"Of the module's bytes."`
	Schema   uint32 `json:"schema" doc:"The number of the state's schema."`
	Outcome  string `json:"outcome" enum:"activated,unchanged,reactivated"`
	Previous string `json:"previous,omitempty" doc:"The revision that was active before."`
}

// Deploy is a deploy that was asked for with Prefer: respond-async. Exactly one of Stage, Deployed and Problem is set.
type Deploy struct {
	ID       string    `json:"id"`
	Stage    string    `json:"stage,omitempty" doc:"What it is doing." enum:"verify,prepare,activate,drain"`
	Deployed *Deployed `json:"deployed,omitempty" doc:"How it ended, if well."`
	Problem  *Problem  `json:"problem,omitempty" doc:"Why it was refused."`
}

// Health is how the host is.
type Health struct {
	Status  string   `json:"status" enum:"healthy,degraded,unhealthy"`
	Reasons []string `json:"reasons" doc:"Why it is not healthy."`

	Durability string `json:"durability,omitempty" enum:"memory,fsync" doc:"Of the host: what an acknowledgement means. memory: all ends with the process. fsync: it is on disk."`
}

// Request is a frame that a WebSocket client sends.
type Request struct {
	Type   string          `json:"type" enum:"command,subscribe,ping"`
	ID     json.RawMessage `json:"id,omitempty" doc:"Of a command: comes back in its ack or error."`
	Action json.RawMessage `json:"action,omitempty" doc:"Of a command."`
	Key    string          `json:"key,omitempty" doc:"Of a command: an idempotency key. With one that the store knows, nothing happens, and the ack is of the earlier action."`
	From   uint64          `json:"from,omitempty" doc:"Of a subscribe: the first action wanted, 0 = from now on."`
}

// Frame is what the host sends on a WebSocket, and the data of a server-sent event.
type Frame struct {
	Type     string          `json:"type" enum:"ack,event,gap,version,error,pong"`
	ID       json.RawMessage `json:"id,omitempty" doc:"Of an ack or error: the command's."`
	Seq      uint64          `json:"seq,omitempty" doc:"Of an ack or event: the action's number."`
	Replayed bool            `json:"replayed,omitempty" doc:"Of an ack: the action was accepted earlier, under the same key."`
	Action   Value           `json:"action,omitempty" doc:"Of an event."`
	From     uint64          `json:"from,omitempty" doc:"Of a gap: the first action that was missed."`
	To       uint64          `json:"to,omitempty" doc:"Of a gap: the last one."`
	Revision string          `json:"revision,omitempty" doc:"Of a version: what reduces from the next action on."`
	Code     string          `json:"code,omitempty" doc:"Of an error."`
	Reason   string          `json:"reason,omitempty" doc:"Of an error: the reducer's own code, or the cause of a trap."`
	Message  string          `json:"message,omitempty" doc:"Of an error."`
	Hint     string          `json:"hint,omitempty" doc:"Of an error: what to do next."`
}
