package awsapi

import (
	"context"
	"fmt"

	"miniaws/awsapi/meta"
)

// Declared answers what a call would need to be allowed, without making it: it runs the operation's access function on an
// input that fill completes. It is how the composition is checked against AWS's service authorization reference.
func (s *Server) Declared(ctx context.Context, r *Request, fill func(in any)) ([]Access, error) {
	target := s.services[r.Service]
	operation := target.operations[r.Operation]
	if operation == nil {
		return nil, fmt.Errorf("%s:%s is not registered", r.Service.Name, r.Operation)
	}
	in := operation.newInput()
	fill(in)
	return operation.access(InContext(ctx, r), in)
}

// ServiceNamed answers the metadata of a service by its name in [Coverage]; nil where there is none.
func ServiceNamed(name string) *meta.Service {
	for _, m := range meta.All {
		if m.Name == name {
			return m
		}
	}
	return nil
}
