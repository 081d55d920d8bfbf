package backend

import "net/netip"

// AgentSpec is how the node agent's container is made.
type AgentSpec struct {
	// Binary is the path of the program on this machine, Digest its SHA-256 in hexadecimal. It must need nothing else.
	Binary, Digest string
	// Arguments follow the program's name.
	Arguments []string
	// Folder on the engine's machine is seen at Target inside.
	Folder, Target string
}

// PublicBridge is the network that stands for the internet's side of VPCs.
type PublicBridge struct {
	// Device is its name on the engine's host.
	Device string
	// Range are its addresses, Gateway the engine host's own.
	Range   netip.Prefix
	Gateway netip.Addr
}
