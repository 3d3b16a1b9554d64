package events

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
)

func TestReadEvent(t *testing.T) {
	for name, c := range map[string]struct {
		event  string
		typ    string
		schema uint32
		data   string
		fault  string // "" = none
	}{
		"type alone":     {"\x81\xa4type\xa1t", "t", 0, "\x80", ""},
		"type last":      {"\x82\xa1a\x01\xa4type\xa1t", "t", 0, "\x81\xa1a\x01", ""},
		"schema":         {"\x83\xa6schema\xcd\x01\x00\xa1a\xc0\xa4type\xa1t", "t", 256, "\x81\xa1a\xc0", ""},
		"order and form": {"\x84\xa1b\xd1\x00\x01\xa4type\xa1t\xd9\x01a\x90\xa1c\x81\xa4type\x01", "t", 0, "\x83\xa1b\xd1\x00\x01\xd9\x01a\x90\xa1c\x81\xa4type\x01", ""},
		"wide map":       {"\xde\x00\x02\xa4type\xa1t\xa1a\x01", "t", 0, "\x81\xa1a\x01", ""},
		"no type":        {"\x81\xa1a\x01", "", 0, "", "the event has no type"},
		"no map":         {"\x01", "", 0, "", "want a map"},
		"type no text":   {"\x81\xa4type\x01", "", 0, "", "want a str"},
		"two types":      {"\x82\xa4type\xa1t\xa4type\xa1u", "", 0, "", "two types"},
		"two schemas":    {"\x83\xa4type\xa1t\xa6schema\x01\xa6schema\x01", "", 0, "", "two schemas"},
		"large schema":   {"\x82\xa4type\xa1t\xa6schema\xcf\x00\x00\x00\x01\x00\x00\x00\x00", "", 0, "", "32 bits"},
		"schema below 0": {"\x82\xa4type\xa1t\xa6schema\xff", "", 0, "", "negative"},
		"number as key":  {"\x82\xa4type\xa1t\x01\x01", "", 0, "", "want a str"},
		"more behind":    {"\x81\xa4type\xa1t\x01", "", 0, "", "bytes after"},
		"cut":            {"\x82\xa4type\xa1t\xa1a", "", 0, "", "msgpack"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := readEvent([]byte(c.event))
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.typ, e.Type)
			require.Equal(t, c.schema, e.Schema)
			require.Equal(t, []byte(c.data), e.Data)
		})
	}
}

// E1: ids of events are unlike those of other events, leaves and emissions.
func TestE1_eventIDs(t *testing.T) {
	seen := map[string]bool{}
	for seq := range uint64(20) {
		for index := range 20 {
			key := effects.Key([16]byte{}, seq, index)
			for n := range 20 {
				id, emission := eventID(key, n), effects.EmissionKey(key, uint64(n))
				require.False(t, seen[id], id)
				require.False(t, seen[emission], emission)
				seen[id], seen[emission] = true, true
			}
		}
	}
	require.Equal(t, "k", eventID("k", 0))
	require.Equal(t, "k:12", eventID("k", 12))
}

// Whatever the bytes: an event that is taken is all there, once.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("\x81\xa4type\xa1t"))
	f.Add([]byte("\x84\xa1b\xd1\x00\x01\xa4type\xa1t\xa6schema\x07\xa1c\x81\xa4type\x01"))
	f.Add([]byte("\xde\x00\x02\xa4type\xa1t\xa1a\x01"))
	f.Add([]byte("\x82\xa4type\xa1t\xa4type\xa1u"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := readEvent(b)
		if err != nil {
			return
		}
		require.NoError(t, pack.Valid(b))
		require.NoError(t, pack.Valid(e.Data))
		want := fields(b)
		got := fields(e.Data)
		require.Equal(t, string(pack.AppendString(nil, e.Type)), string(pack.AppendStringBytes(nil, str(want["type"]))))
		delete(want, "type")
		delete(want, "schema")
		require.Equal(t, want, got)
	})
}

// fields are the fields of a map; of those that are there twice, all.
func fields(b []byte) map[string]string {
	all := map[string]string{}
	r := pack.NewReader(b)
	for n := r.MapLen(); n > 0; n-- {
		key := string(r.Str())
		all[key] += string(r.Raw())
	}
	return all
}

func str(b string) []byte {
	r := pack.NewReader([]byte(b))
	return r.Str()
}
