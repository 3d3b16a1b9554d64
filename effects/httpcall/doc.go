// Package httpcall performs calls with target http:HOST, one HTTP request each.
//
// Arguments, a msgpack map; all but url may be left out, others are an error:
//
//	method     str                  GET (the default), HEAD, POST, PUT, PATCH, DELETE or OPTIONS
//	url        str                  http or https, without user; its host and port are those of the target, where a port that
//	                                the scheme implies counts as none
//	headers    map                  of str, or of arrays of str. {{secret:NAME}} in a value stands for the tenant's secret of that name
//	body       bin or str
//	timeout    int, ns              of the whole exchange, redirects and answer included; at most the attempt's and the host's
//	max_bytes  uint                 of the answer's body. Defaults to 1 MiB, at most [MaxBody]
//
// Result, for a status of 2xx:
//
//	status     uint
//	headers    map                  names in lower case, each an array of str
//	body       bin                  as it came: content encodings are the guest's business, none is asked for
//
// Any other outcome is an error with one of these codes (*: permanent):
//
//	http_status        the peer answered otherwise; with status, and body, the first 4 KiB of it (truncated: true when there was more). 408, 425, 429
//	                   and 5xx are retried, not before what Retry-After says; all others are permanent
//	bad_arguments *    the arguments are not the above
//	unknown_secret *   there is no secret of that name; bad_secret *: its value cannot be in a header
//	target_refused *   the host has an address that only a grant can reach
//	redirect_refused * to a host that is not granted, or from https to http; too_many_redirects *: more than 5
//	too_large *        the answer has more than max_bytes: nothing is ever cut short in silence
//	secret_echoed *    the answer has a secret in it that went out with the request
//	timeout            it took too long
//	connection         the exchange broke off, or never began
//
// # What it promises
//
// Each request has an Idempotency-Key, and the headers that Config.Trace sets; the guest sets neither, nor those that belong to a
// connection. net/http may send a request again on another connection, when one that it had kept turns out to be closed: so the key.
//
// Secrets are in headers only, and sent to the target's host only. Their values are in no result, error or text. What a peer answers is searched for
// those of 8 bytes and more as they are; one that sends them back in disguise gives them away. So a secret is for hosts that can be trusted with it.
//
// Addresses that are not public (private, loopback, link-local, shared, multicast, unspecified and reserved ones, also within IPv6) are
// refused unless Config.Private grants them. It is the address of each connection that is checked, after name resolution and on each redirect. Proxies are
// not used, whatever the environment says, as they would connect to places that nobody checked.
//
// A peer can stall, trickle, reset and flood: the exchange ends with its timeout, and takes at most twice max_bytes of memory and 64 KiB for headers.
// HTTP/2 is not spoken: tenants would share its connections.
//
// A Handler may be used from many goroutines; it keeps connections open until Close. When the context ends, so does the exchange, and the error
// is the context's.
package httpcall
