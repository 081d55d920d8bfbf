package ec2

// Network makes VPCs real.
type Network interface{}
