// Package rows keeps read models in a database of somebody else, given as an ordered, durable key space (package keyspace): the host's journal, for one.
//
// # What is kept
//
//	p m name                     the model: its builds, their checkpoints, the ID given last
//	p r name 00 build key        a row of a build
//	p d name 00 build            a build whose rows are being removed
//
// Builds in keys are big-endian. Values are as package keyspace has them; testdata/v1.txtar has one of each.
//
// # What it promises
//
// What package projection says, and that readers see only what is durable: rows and the checkpoint that they belong to, at one moment, also in a list of many
// rows. They never wait for the disk.
//
// # How readers see one moment
//
// An update writes over rows, and the database shows them before they are durable. So it first notes what they were, in memory, for those who read meanwhile:
//
//	                  durable
//	                     |
//	change 7 ------> change 8 ------> change 9 (on its way to the disk)
//	                     ^               |
//	                     |               +-- before: key a was "1", key b was not there
//	   who begins to read now, and takes back what comes after
//
// A reader notes the last durable change, reads the database, and takes back what changes after that one have done. A change is kept as long as somebody
// follows who began before it, by the pointers of these alone. Only the live build needs it: nobody reads another one.
//
// # Dropping a build
//
// The batch that lets go of a build notes that it is to be removed. Its rows are deleted after that, some hundred in a batch, and the note with the
// last of them; what is cut short goes on when the store is opened again.
//
// # When it fails
//
// A batch that the database refuses (keyspace.ErrRefused) never was. After any other error nobody knows: nothing is updated from then on, readers go on seeing
// what was durable before, and the next Open reads what there is. Damage is an error that is keyspace.ErrCorrupt for who reads there.
package rows
