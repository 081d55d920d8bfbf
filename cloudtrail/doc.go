// Package cloudtrail remembers who did what: it records every call in CloudTrail's event format, answers LookupEvents,
// and delivers log files and their digests to buckets of S3.
//
// The story of one call:
//
//  1. The pipeline hands the outcome to [Service.Record], which makes an event of it: who, what, from where, parameters
//     without secrets, what was answered, and how it was decided.
//  2. The event of a successful write is durable before the client is answered. All callers that wait at one time share
//     one commit. Events of reads and of refusals wait in memory for that commit, or for the sweep that comes each second.
//  3. Events lie in batches, newest first, packed; an index leads from an attribute to the batches that have it.
//  4. A sweep reads what came since the last delivery of a trail, and puts it into the trail's bucket as a file. Another
//     one signs the list of these files each hour, as the next link of a chain.
//  5. A third sweep removes the oldest hours, by age and by size.
//
// Tables, in the account's and region's scope unless said otherwise:
//
//	cloudtrail/events       batches of management events, index by attribute
//	cloudtrail/data-events  batches of data events, for the trails that select them, and of refused ones
//	cloudtrail/hours        how much there is of each hour
//	cloudtrail/places       accounts and regions that have events (global)
//	cloudtrail/trails       trails (account)
//	cloudtrail/files        files that the next digest lists
//	cloudtrail/keys         keys that sign digests (global)
//
// What it does not do: event data stores (Lake), Insights, channels, organization trails, delivery to CloudWatch Logs and
// SNS. Calls whose signature did not verify are nobody's, and are not recorded.
package cloudtrail
