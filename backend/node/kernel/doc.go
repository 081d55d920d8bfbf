// Package kernel makes plans real on Linux: network namespaces, pairs of virtual Ethernet devices, routes and netfilter
// tables, through netlink alone. Everything is compared with what is there and only differences are changed, so that
// doing it again costs little and mends what somebody changed by hand.
//
// It knows nothing of AWS: what is to be there is backend/node/plan's decision. A namespace is held by a bind mount in
// the mount namespace of the calling process, so it lives as long as that and not as long as the process.
package kernel
