// Package retry says whether a failed attempt is made again, and when.
//
// Whether is in the error: what is not [Permanent] is retried, an unknown error too. When is in the [Policy]: exponential delays with full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter), or what a peer asked for with [After]. How many of all attempts at one
// target may be retries is in its [Budget], so that a target in trouble is not buried under them.
//
//	attempt 1 fails -- uniform in [0, 100 ms] --> 2 -- [0, 200 ms] --> 3 -- [0, 400 ms] --> ... 6 fails: given up
//
// It promises to be a function of its arguments (and of the clock, for a Budget), and that no error of a peer makes a delay longer than [MaxAfter]
// and the policy's Max. It keeps no timer and starts no goroutine: who asks, waits.
//
// Policies and errors are values; a Budget may be used from many goroutines. Nothing here fails at run time: what is wrong with a Policy or a
// BudgetConfig its Validate says. The delays are not those of cenkalti/backoff, which keeps where it is in memory: ours are
// functions of the number of an attempt, which survives a restart.
package retry
