// Package agent is what runs on the engine's side: it holds the network namespaces of VPCs, keeps them as wanted, and
// answers metadata, names and the API inside of them.
//
//	container "node"
//	  PID 1  supervisor: starts the agent again when it ends; its mount namespace holds the network namespaces
//	    agent: a Unix socket to the gateway; one kernel.Router for each VPC; listeners inside each
//
// The agent may be killed or replaced at any time: packets between instances pass through the kernel alone, and the next
// agent finds the namespaces. What it was told last is in its state folder, so that it does not need the gateway either:
// after the container itself starts again, which ends every namespace, everything is made anew.
//
// It decides nothing about AWS: plans come from backend/node/plan, answers from the gateway.
package agent
